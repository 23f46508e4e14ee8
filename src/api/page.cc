#include "api/page.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "fmt/core.h"

namespace fleet::api {
namespace {

// Fields are joined by NUL, which no unit name, machine id or query parameter contains.
constexpr char kSeparator = '\0';
constexpr size_t kFixedFields = 4;  // list, size, next unit, next machine; then pairs of filters

absl::Status BadToken(const std::string& token) {
  return absl::InvalidArgumentError(
      fmt::format("invalid nextPageToken \"{}\": take it from the answer before, or leave it out "
                  "for the first page",
                  token.substr(0, 64)));
}

absl::StatusOr<PageRequest> DecodeToken(const std::string& token, std::string_view list) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(token, &bytes)) return BadToken(token);
  const std::vector<std::string> fields = absl::StrSplit(bytes, kSeparator);
  if (fields.size() < kFixedFields || (fields.size() - kFixedFields) % 2 != 0 ||
      fields[0] != list || fields[2].empty()) {
    return BadToken(token);
  }
  PageRequest page;
  if (!absl::SimpleAtoi(fields[1], &page.size) || page.size < 1 || page.size > kMaxPageSize) {
    return BadToken(token);
  }
  page.next_unit = fields[2];
  page.next_machine = fields[3];
  for (size_t i = kFixedFields; i < fields.size(); i += 2) page.filters[fields[i]] = fields[i + 1];
  return page;
}

}  // namespace

absl::StatusOr<PageRequest> ReadPageRequest(const Query& query, std::string_view list,
                                            const std::vector<std::string>& filters,
                                            size_t default_size) {
  PageRequest page;
  page.size = std::clamp<size_t>(default_size, 1, kMaxPageSize);
  if (const auto token = query.Get("nextPageToken"); token && !token->empty()) {
    ASSIGN_OR_RETURN(page, DecodeToken(*token, list));
  }
  if (const auto limit = query.Get("limit"); limit) {
    if (!absl::SimpleAtoi(*limit, &page.size) || page.size < 1) {
      return absl::InvalidArgumentError(
          fmt::format("invalid limit \"{}\": a number from 1 to {}", *limit, kMaxPageSize));
    }
    page.size = std::min(page.size, kMaxPageSize);
  }
  for (const std::string& name : filters) {
    const auto value = query.Get(name);
    if (!value) continue;
    if (value->empty()) {
      page.filters.erase(name);
    } else {
      page.filters[name] = *value;
    }
  }
  return page;
}

std::string NextPageToken(const PageRequest& page, std::string_view list,
                          std::string_view next_unit, std::string_view next_machine) {
  std::string bytes =
      fmt::format("{1}{0}{2}{0}{3}{0}{4}", kSeparator, list, page.size, next_unit, next_machine);
  for (const auto& [name, value] : page.filters) {
    fmt::format_to(std::back_inserter(bytes), "{0}{1}{0}{2}", kSeparator, name, value);
  }
  return absl::WebSafeBase64Escape(bytes);
}

}  // namespace fleet::api
