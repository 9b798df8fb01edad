"""A server of tf.data service, in a process of its own: `tf_server.py dispatcher` or `tf_server.py worker`.

A worker reads its dispatcher's address from the first line of stdin. Each prints its own address once it serves, and
ends with its stdin, so that none outlives the consumer that started it.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

from tensorflow.data.experimental import service  # noqa: E402

if sys.argv[1] == "dispatcher":
    server = service.DispatchServer(service.DispatcherConfig(port=0))
    print(server.target.removeprefix("grpc://"), flush=True)
else:
    config = service.WorkerConfig(sys.stdin.readline().strip(), port=0, data_transfer_protocol="grpc")
    server = service.WorkerServer(config)
    print("serving", flush=True)
sys.stdin.read()
# Without the servers' own way of stopping, which waits for their clients.
os._exit(0)
