#pragma once

// Writes JSON straight into a string: lists of many entities are built with it, so it makes no
// tree. Text that is not UTF-8 (a journal line may be anything) is written with U+FFFD in its
// place, so that the result is always valid JSON.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace fleet::api {

class JsonWriter {
 public:
  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginArray();
  JsonWriter& EndArray();
  // Within an object: the name of the value that follows.
  JsonWriter& Key(std::string_view key);
  JsonWriter& String(std::string_view text);
  JsonWriter& Int(int64_t number);
  JsonWriter& Bool(bool value);
  // A value that is JSON already.
  JsonWriter& Raw(std::string_view json);

  // Key and value; nothing at all when the text is empty.
  JsonWriter& Member(std::string_view key, std::string_view text);
  // Key and value, also when the text is empty.
  JsonWriter& Always(std::string_view key, std::string_view text);

  const std::string& text() const { return text_; }
  std::string Take() { return std::move(text_); }
  size_t size() const { return text_.size(); }

 private:
  void Separate();
  void Quote(std::string_view text);

  std::string text_;
  bool separate_ = false;  // a value stands before, in this object or array
};

}  // namespace fleet::api
