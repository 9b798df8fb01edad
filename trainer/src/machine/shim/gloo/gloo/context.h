// Of gloo, only the names that a header of libtorch mentions: gloo itself is inside libtorch, and its headers are not with it.
// Nothing here is called or laid out by us.
#pragma once
#include <chrono>

namespace gloo {
class Context {
  public:
    void setTimeout(std::chrono::milliseconds timeout);
};
}  // namespace gloo
