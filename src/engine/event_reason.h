#pragma once

// Events give their reasons in sentences, with names in them. Metrics need a few words: this tells
// which.

#include <string_view>

namespace fleet::engine {

// The class of an event's reason: "machine_lost", "rebalance", … ; "other" for a sentence that is
// not known.
std::string_view ReasonClass(std::string_view reason);

}  // namespace fleet::engine
