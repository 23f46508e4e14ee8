#pragma once

// An ordered map whose copies share their content: once frozen it is cheap to copy, and a copy
// never sees later changes of the original. It is what the mirror's snapshots are made of.
//
// Two levels: a vector of chunks, each a sorted vector that copies share. Freeze() ends the right
// to change chunks in place: the next change copies the chunk it touches, once. (A chunk carries
// the edit it belongs to; counting references would not order another thread's reads before the
// write.) A frozen map may be read and copied from any thread while nobody changes that same
// object; copying one that is not frozen copies everything.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace fleet {

template <typename Key, typename Value>
class PersistentMap {
 public:
  using Entry = std::pair<Key, Value>;

 private:
  struct Chunk {
    uint64_t edit = 0;           // the only edit that may change this chunk
    std::vector<Entry> entries;  // sorted by key, never empty
  };
  using Chunks = std::vector<std::shared_ptr<Chunk>>;

 public:
  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using pointer = const Entry*;
    using reference = const Entry&;

    const_iterator() = default;
    reference operator*() const { return (*chunks_)[chunk_]->entries[index_]; }
    pointer operator->() const { return &**this; }
    const_iterator& operator++() {
      if (++index_ == (*chunks_)[chunk_]->entries.size()) {
        ++chunk_;
        index_ = 0;
      }
      return *this;
    }
    const_iterator operator++(int) {
      const_iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const const_iterator& other) const {
      return chunk_ == other.chunk_ && index_ == other.index_;
    }

   private:
    friend class PersistentMap;
    const_iterator(const Chunks* chunks, size_t chunk, size_t index)
        : chunks_(chunks), chunk_(chunk), index_(index) {}
    const Chunks* chunks_ = nullptr;
    size_t chunk_ = 0;
    size_t index_ = 0;
  };

  PersistentMap() = default;
  PersistentMap(PersistentMap&&) noexcept = default;
  PersistentMap& operator=(PersistentMap&&) noexcept = default;
  ~PersistentMap() = default;
  PersistentMap(const PersistentMap& other) : chunks_(other.chunks_), size_(other.size_) {
    if (other.edit_ == 0) return;
    for (auto& chunk : chunks_) chunk = std::make_shared<Chunk>(Chunk{0, chunk->entries});
  }
  PersistentMap& operator=(const PersistentMap& other) {
    if (this != &other) *this = PersistentMap(other);
    return *this;
  }

  void Freeze() { edit_ = 0; }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const_iterator begin() const { return {&chunks_, 0, 0}; }
  const_iterator end() const { return {&chunks_, chunks_.size(), 0}; }

  // The first entry whose key is not less than `key`.
  template <typename K>
  const_iterator lower_bound(const K& key) const {
    const size_t chunk = ChunkFor(key);
    if (chunk == chunks_.size()) return end();
    return {&chunks_, chunk, IndexIn(*chunks_[chunk], key)};
  }

  // nullptr if absent. Valid until this object is changed or destroyed.
  template <typename K>
  const Value* Find(const K& key) const {
    auto it = lower_bound(key);
    if (it == end() || it->first != key) return nullptr;
    return &it->second;
  }

  void Set(Key key, Value value) {
    if (chunks_.empty()) {
      chunks_.push_back(std::make_shared<Chunk>(Chunk{Edit(), {}}));
      chunks_[0]->entries.emplace_back(std::move(key), std::move(value));
      size_ = 1;
      return;
    }
    const size_t at = std::min(ChunkFor(key), chunks_.size() - 1);
    Chunk& chunk = Own(at);
    const size_t index = IndexIn(chunk, key);
    if (index < chunk.entries.size() && chunk.entries[index].first == key) {
      chunk.entries[index].second = std::move(value);
      return;
    }
    chunk.entries.emplace(chunk.entries.begin() + static_cast<std::ptrdiff_t>(index),
                          std::move(key), std::move(value));
    ++size_;
    if (chunk.entries.size() > MaxChunk()) Split(at);
  }

  // True if there was such an entry.
  template <typename K>
  bool Erase(const K& key) {
    const size_t at = ChunkFor(key);
    if (at == chunks_.size()) return false;
    const size_t index = IndexIn(*chunks_[at], key);
    if (chunks_[at]->entries[index].first != key) return false;
    Chunk& chunk = Own(at);
    chunk.entries.erase(chunk.entries.begin() + static_cast<std::ptrdiff_t>(index));
    if (chunk.entries.empty()) chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(at));
    --size_;
    return true;
  }

 private:
  // A change copies a chunk, a copy of the map the list of chunks. The first costs more for each
  // entry, and a step of the mirror may change many.
  size_t MaxChunk() const {
    const auto root = static_cast<size_t>(std::sqrt(static_cast<double>(size_)));
    return std::clamp<size_t>(root / 4, 16, 256);
  }

  // The first chunk whose last key is not less than `key`.
  template <typename K>
  size_t ChunkFor(const K& key) const {
    auto it = std::partition_point(chunks_.begin(), chunks_.end(), [&](const auto& chunk) {
      return chunk->entries.back().first < key;
    });
    return static_cast<size_t>(it - chunks_.begin());
  }

  template <typename K>
  static size_t IndexIn(const Chunk& chunk, const K& key) {
    auto it = std::partition_point(chunk.entries.begin(), chunk.entries.end(),
                                   [&](const Entry& entry) { return entry.first < key; });
    return static_cast<size_t>(it - chunk.entries.begin());
  }

  // The edit under way; a new one if the map was frozen.
  uint64_t Edit() {
    static std::atomic<uint64_t> last_edit{0};
    if (edit_ == 0) edit_ = ++last_edit;
    return edit_;
  }

  // The chunk at `at`, copied first if another map may share it.
  Chunk& Own(size_t at) {
    if (chunks_[at]->edit != Edit()) {
      chunks_[at] = std::make_shared<Chunk>(Chunk{edit_, chunks_[at]->entries});
    }
    return *chunks_[at];
  }

  void Split(size_t at) {
    auto& entries = chunks_[at]->entries;
    auto upper = std::make_shared<Chunk>(Chunk{edit_, {}});
    const auto middle = entries.begin() + static_cast<std::ptrdiff_t>(entries.size() / 2);
    upper->entries.assign(std::make_move_iterator(middle), std::make_move_iterator(entries.end()));
    entries.erase(middle, entries.end());
    chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(at) + 1, std::move(upper));
  }

  Chunks chunks_;
  size_t size_ = 0;
  uint64_t edit_ = 0;  // 0: frozen
};

}  // namespace fleet
