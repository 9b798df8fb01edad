"""The messages and stubs of `mixfeed.v1`, as grpcio-tools makes them of `mixfeed/v1/loader.proto`.

They are here because a package named `mixfeed` hides those that are made elsewhere. They need protobuf and grpcio, which
nothing else of the package does: `from mixfeed.v1 import loader_pb2, loader_pb2_grpc`.
"""
