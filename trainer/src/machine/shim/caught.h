// How every function that may fail tells of it.
#pragma once

#include <cstring>
#include <exception>

#include <c10/util/Exception.h>

// Runs `work`; the text of its exception, if there was one, which the caller frees with mixfeed_free_text.
template <typename Work>
char* caught(Work work) {
    try {
        work();
        return nullptr;
    } catch (const c10::Error& error) {
        return strdup(error.what_without_backtrace());
    } catch (const std::exception& error) {
        return strdup(error.what());
    } catch (...) {
        return strdup("unknown exception");
    }
}
