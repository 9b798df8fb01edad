// What the trainer needs of libtorch and tch does not bind: TorchScript modules with their buffers, autocast
// with a choice of number, switches for determinism and TF32, copies to a GPU beside its work.
//
// Every function that may fail gives null, or the text of what went wrong, which the caller frees with
// mixfeed_free_text; no exception crosses into Rust. A tensor handed out is a new handle, as tch holds them,
// and the caller owns it.

#include <cstring>
#include <sstream>
#include <string>
#include <unordered_set>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include "caught.h"

namespace {

// A parameter or buffer of a module, and the slot that holds it.
struct Slot {
    std::string name;
    at::Tensor tensor;
    bool is_learnt;
    c10::intrusive_ptr<c10::ivalue::Object> owner;
    size_t index;
};

struct Network {
    torch::jit::Module module;
    std::vector<Slot> slots;
    bool is_training;
};

// A stream of a GPU for copies alone.
struct Uploader {
    c10::impl::VirtualGuardImpl streams;
    c10::Device device;
    c10::Stream copies;
};

c10::Device device_of(int number) {
    return number < 0 ? c10::Device(c10::kCPU) : c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(number));
}

// All parameters and buffers, each tensor once, under the names of PyTorch's state_dict.
std::vector<Slot> slots_of(const torch::jit::Module& module) {
    std::vector<Slot> slots;
    std::unordered_set<c10::TensorImpl*> seen;
    for (const auto& [prefix, part] : module.named_modules()) {
        const auto type = part.type();
        for (size_t index = 0; index < type->numAttributes(); index++) {
            const bool is_parameter = type->is_parameter(index);
            const auto value = part._ivalue()->getSlot(index);
            if (!(is_parameter || type->is_buffer(index)) || !value.isTensor()) continue;
            at::Tensor tensor = value.toTensor();
            if (!tensor.defined() || !seen.insert(tensor.unsafeGetTensorImpl()).second) continue;
            // Channels last, like the images.
            if (tensor.dim() == 4) {
                at::NoGradGuard no_grad;
                tensor.set_data(tensor.contiguous(at::MemoryFormat::ChannelsLast));
            }
            const auto name = (prefix.empty() ? "" : prefix + ".") + type->getAttributeName(index);
            slots.push_back({name, tensor, is_parameter && tensor.requires_grad(), part._ivalue(), index});
        }
    }
    return slots;
}

// Where the forward pass put another tensor into a buffer's slot, its value goes into the tensor that was
// handed out, and that one back into the slot.
void keep_handles(Network& network) {
    at::NoGradGuard no_grad;
    for (auto& slot : network.slots) {
        const at::Tensor current = slot.owner->getSlot(slot.index).toTensor();
        if (current.is_same(slot.tensor)) continue;
        TORCH_CHECK(current.sizes() == slot.tensor.sizes(), "buffer ", slot.name, " changes its shape");
        slot.tensor.copy_(current);
        slot.owner->setSlot(slot.index, slot.tensor);
    }
}

}  // namespace

extern "C" {

void mixfeed_free_text(char* text) { free(text); }

// Reads a TorchScript file; `device` is the number of a GPU, or -1.
char* mixfeed_network_load(const char* bytes, size_t length, int device, Network** result) {
    return caught([&] {
        std::istringstream stream(std::string(bytes, length));
        auto module = torch::jit::load(stream, device_of(device));
        module.train(false);
        auto slots = slots_of(module);
        *result = new Network{std::move(module), std::move(slots), false};
    });
}

void mixfeed_network_free(Network* network) { delete network; }

size_t mixfeed_network_tensors(const Network* network) { return network->slots.size(); }

const char* mixfeed_network_name(const Network* network, size_t index) {
    return network->slots[index].name.c_str();
}

bool mixfeed_network_is_learnt(const Network* network, size_t index) { return network->slots[index].is_learnt; }

at::Tensor* mixfeed_network_tensor(const Network* network, size_t index) {
    return new at::Tensor(network->slots[index].tensor);
}

char* mixfeed_network_forward(Network* network, const at::Tensor* images, bool training, at::Tensor** result) {
    return caught([&] {
        if (network->is_training != training) {
            network->module.train(training);
            network->is_training = training;
        }
        // The optimising executor rewrites a graph after its first runs, and so would make a resumed run
        // differ in its last bits from one that was not interrupted.
        torch::jit::GraphOptimizerEnabledGuard as_written(false);
        const auto output = network->module.forward({*images});
        TORCH_CHECK(output.isTensor(), "forward gives ", output.tagKind(), " instead of one tensor");
        if (training) keep_handles(*network);
        *result = new at::Tensor(output.toTensor());
    });
}

// Inside, what gains from it is computed in numbers of 16 bits; the kind is bfloat16 or float16.
void mixfeed_autocast_begin(bool cuda, bool bfloat16) {
    const auto device = cuda ? at::kCUDA : at::kCPU;
    at::autocast::increment_nesting();
    at::autocast::set_autocast_enabled(device, true);
    at::autocast::set_autocast_dtype(device, bfloat16 ? at::kBFloat16 : at::kHalf);
}

void mixfeed_autocast_end(bool cuda) {
    at::autocast::set_autocast_enabled(cuda ? at::kCUDA : at::kCPU, false);
    // Copies of weights in 16 bits are kept up to here.
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

// An operation without a deterministic form is then an error.
void mixfeed_set_deterministic(bool on) {
    at::globalContext().setDeterministicAlgorithms(on, false);
    at::globalContext().setDeterministicCuDNN(on);
    // Trying out which algorithm is fastest may choose another one each time.
    at::globalContext().setBenchmarkCuDNN(!on);
}

void mixfeed_set_tf32(bool on) {
    at::globalContext().setAllowTF32CuBLAS(on);
    at::globalContext().setAllowTF32CuDNN(on);
}

// The name, which the caller frees.
char* mixfeed_cpu_capability() { return strdup(at::get_cpu_capability().c_str()); }

char* mixfeed_uploader_new(int number, Uploader** result) {
    return caught([&] {
        const auto device = device_of(number);
        c10::impl::VirtualGuardImpl streams(device.type());
        const auto copies = streams.getStreamFromGlobalPool(device, false);
        *result = new Uploader{streams, device, copies};
    });
}

void mixfeed_uploader_free(Uploader* uploader) { delete uploader; }

// Copies bytes to the GPU while it works on what was asked of it before; nothing is waited for here.
char* mixfeed_upload(const Uploader* uploader, const uint8_t* bytes, size_t length, at::Tensor** result) {
    return caught([&] {
        at::NoGradGuard no_grad;
        // Pinned memory comes from libtorch's cache of it, which gives a block out again only when the
        // copies from it are done: that cache is the staging ring.
        const auto options = at::TensorOptions().dtype(at::kByte).pinned_memory(true);
        const at::Tensor host = at::empty({static_cast<int64_t>(length)}, options);
        std::memcpy(host.data_ptr(), bytes, length);
        at::Tensor there;
        {
            c10::StreamGuard beside(uploader->copies);
            there = host.to(uploader->device, at::kByte, /*non_blocking=*/true);
        }
        // What computes waits for the copy, and the copy's memory stays until that is done.
        const auto compute = uploader->streams.getStream(uploader->device);
        c10::Event copied(uploader->device.type());
        copied.record(uploader->copies);
        copied.block(compute);
        there.record_stream(compute);
        *result = new at::Tensor(there);
    });
}

}  // extern "C"
