// What a group of trainers needs of libtorch's c10d: the store by which processes find each other, and messages of
// tensors between them by gloo.
//
// Every function that may fail gives null, or the text of what went wrong (caught.h); no exception crosses into Rust.

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <ATen/ATen.h>
#include <c10/util/Logging.h>
#include <c10/util/ScopeExit.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "caught.h"

namespace {

struct Rendezvous {
    c10::intrusive_ptr<c10d::Store> store;
};

// Messages of an exchange, and words that nobody waits for.
constexpr int MESSAGE = 0, PROBE = 1;

// Looks at exchanges that take long. When a connection breaks, gloo tells whoever waits for data that has not begun to come,
// but not whoever has received a part of it. The connection knows that it is broken, and refuses what is begun on it from
// then on: so a word is sent, now and then.
class Watch {
public:
    explicit Watch(c10d::Backend& links) : links_(links), thread_(&Watch::run, this) {}

    ~Watch() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            is_over_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    // Waits until an exchange with `peer` is done, for either half so long.
    void wait(int peer, c10d::Work& sent, c10d::Work& received, std::chrono::milliseconds patience) {
        look_at({peer, &sent, &received});
        const auto done = c10::make_scope_exit([this] { look_at({}); });
        const bool is_done = received.wait(patience) && sent.wait(patience);
        const std::lock_guard<std::mutex> lock(mutex_);
        TORCH_CHECK(is_done, cause_);
    }

private:
    struct Exchange {
        int peer = 0;
        c10d::Work *sent = nullptr, *received = nullptr;
    };

    // Between two looks: an exchange is probed from the second on.
    static constexpr std::chrono::milliseconds PAUSE{500};

    void look_at(Exchange exchange) {
        const std::lock_guard<std::mutex> lock(mutex_);
        exchange_ = exchange;
        ++number_;
    }

    void run() {
        std::unique_lock<std::mutex> lock(mutex_);
        uint64_t seen = 0;
        while (!changed_.wait_for(lock, PAUSE, [this] { return is_over_; })) {
            if (exchange_.received != nullptr && number_ == seen) probe();
            seen = number_;
        }
    }

    void probe() {
        try {
            std::vector<at::Tensor> word{at::zeros({1})};
            links_.send(word, exchange_.peer, PROBE);
        } catch (const std::exception& error) {
            cause_ = error.what();
            exchange_.received->abort();
            exchange_.sent->abort();
        }
    }

    c10d::Backend& links_;
    // Held while a word is sent, so that an exchange does not end meanwhile and another one begin.
    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_over_ = false;
    uint64_t number_ = 0;
    Exchange exchange_;
    std::string cause_;
    std::thread thread_;
};

struct Links {
    Links(c10::intrusive_ptr<c10d::Backend> connected, std::chrono::milliseconds timeout)
        : gloo(std::move(connected)), patience(timeout), watch(std::make_unique<Watch>(*gloo)) {}

    c10::intrusive_ptr<c10d::Backend> gloo;
    // How long the other side of an exchange is waited for.
    std::chrono::milliseconds patience;
    std::unique_ptr<Watch> watch;
};

// What libtorch says of its sockets beside the exception it throws is not for people, unless they ask for it.
void quiet() {
    if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = 3;
}

// In use by whoever asked for it when the call is over: a message is a row in memory.
std::vector<at::Tensor> message(const at::Tensor* tensor) {
    TORCH_CHECK(tensor->is_contiguous() && tensor->device().is_cpu(), "a message is a row in this process's memory");
    return {*tensor};
}

}  // namespace

extern "C" {

// Connects to the store at host:port, which this process serves on the listening socket `socket` unless that is -1. The
// socket is the store's from then on. All keys have `prefix` before them.
char* mixfeed_store_open(
    const char* host, uint16_t port, int socket, const char* prefix, int64_t timeout_ms, Rendezvous** result) {
    return caught([&] {
        quiet();
        c10d::TCPStoreOptions options;
        options.port = port;
        options.isServer = socket >= 0;
        options.waitWorkers = false;
        options.timeout = std::chrono::milliseconds(timeout_ms);
        if (socket >= 0) {
            options.masterListenFd = socket;
            // The other one takes no socket that listens already.
            options.useLibUV = false;
        }
        auto tcp = c10::make_intrusive<c10d::TCPStore>(host, options);
        *result = new Rendezvous{c10::make_intrusive<c10d::PrefixStore>(prefix, tcp)};
    });
}

void mixfeed_store_free(Rendezvous* rendezvous) { delete rendezvous; }

char* mixfeed_store_set(Rendezvous* rendezvous, const char* key, const char* value) {
    return caught([&] { rendezvous->store->set(key, std::string(value)); });
}

// Waits until there is a value; the caller frees it.
char* mixfeed_store_get(Rendezvous* rendezvous, const char* key, int64_t timeout_ms, char** result) {
    return caught([&] {
        rendezvous->store->wait({key}, std::chrono::milliseconds(timeout_ms));
        const auto value = rendezvous->store->get(key);
        *result = strdup(std::string(value.begin(), value.end()).c_str());
    });
}

// Adds to a number, which is 0 at first, and gives what it is then.
char* mixfeed_store_add(Rendezvous* rendezvous, const char* key, int64_t number, int64_t* result) {
    return caught([&] { *result = rendezvous->store->add(key, number); });
}

// Connects this process with each of the others, which find its address in the store: `interface`, or that of the name
// `address`, or where both are empty that of this machine's name.
char* mixfeed_links_open(
    Rendezvous* rendezvous,
    int rank,
    int world,
    const char* interface,
    const char* address,
    int64_t timeout_ms,
    Links** result) {
    return caught([&] {
        auto options = c10d::ProcessGroupGloo::Options::create(std::chrono::milliseconds(timeout_ms));
        const std::string name(interface), host(address);
        options->devices.push_back(
            !name.empty()   ? c10d::ProcessGroupGloo::createDeviceForInterface(name)
            : !host.empty() ? c10d::ProcessGroupGloo::createDeviceForHostname(host)
                            : c10d::ProcessGroupGloo::createDefaultDevice());
        // Messages need none of the threads for collective operations but the one of the broadcast.
        options->threads = 1;
        *result = new Links(
            c10::make_intrusive<c10d::ProcessGroupGloo>(rendezvous->store, rank, world, options), options->timeout);
    });
}

void mixfeed_links_free(Links* links) { delete links; }

void mixfeed_links_set_timeout(Links* links, int64_t timeout_ms) {
    links->patience = std::chrono::milliseconds(timeout_ms);
}

// Sends `own` to `peer` and receives `theirs`, of the same size, from it.
char* mixfeed_links_exchange(Links* links, int peer, const at::Tensor* own, const at::Tensor* theirs) {
    return caught([&] {
        auto out = message(own), in = message(theirs);
        const auto sent = links->gloo->send(out, peer, MESSAGE);
        const auto received = links->gloo->recv(in, peer, MESSAGE);
        // Without a time of its own each would wait as long as for the connections.
        links->watch->wait(peer, *sent, *received, links->patience);
    });
}

// Has `tensor` be on all what it is on `root`.
char* mixfeed_links_broadcast(Links* links, int root, const at::Tensor* tensor) {
    return caught([&] {
        auto tensors = message(tensor);
        c10d::BroadcastOptions options;
        options.rootRank = root;
        links->gloo->broadcast(tensors, options)->wait();
    });
}

}  // extern "C"
