#pragma once

// A vector that grows without moving its elements: references stay valid, and there is no moment at
// which a large one exists twice. Elements are found as quickly as in one array, nearly.

#include <cstddef>
#include <memory>
#include <vector>

namespace fleet::scheduler {

template <typename T>
class ChunkedVector {
 public:
  T& operator[](size_t index) { return chunks_[index / kChunk][index % kChunk]; }
  const T& operator[](size_t index) const { return chunks_[index / kChunk][index % kChunk]; }
  size_t size() const { return size_; }

  // A default-constructed element at the end.
  T& emplace_back() {
    if (size_ == chunks_.size() * kChunk) chunks_.push_back(std::make_unique<T[]>(kChunk));
    return (*this)[size_++];
  }

 private:
  static constexpr size_t kChunk = 256;

  std::vector<std::unique_ptr<T[]>> chunks_;
  size_t size_ = 0;
};

}  // namespace fleet::scheduler
