#pragma once

// Random ids and content hashes.

#include <string>
#include <string_view>

namespace fleet {

// 32 lower-case hex digits from the kernel's random source.
std::string RandomId();

// SHA-256 of `bytes` as 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);

}  // namespace fleet
