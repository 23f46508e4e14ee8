#include "store/store.h"

namespace fleet::store {

KeyRange PrefixRange(std::string prefix) {
  std::string end = prefix;
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return KeyRange{std::move(prefix), end.empty() ? std::string(1, '\0') : std::move(end)};
}

}  // namespace fleet::store
