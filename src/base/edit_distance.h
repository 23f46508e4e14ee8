#pragma once

// How far a word is from one that was perhaps meant, for "did you mean …?". Pure.

#include <cstddef>
#include <string_view>

namespace fleet {

// Levenshtein's distance: how many letters have to be inserted, removed or replaced to make `to` of
// `from`. Upper and lower case (ASCII) are the same letter.
size_t EditDistance(std::string_view from, std::string_view to);

}  // namespace fleet
