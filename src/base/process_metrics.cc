#include "base/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace fleet::metrics {

namespace {

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<double> NumberAt(const std::vector<std::string>& fields, size_t index) {
  double number = 0;
  if (index >= fields.size() || !absl::SimpleAtod(fields[index], &number)) return std::nullopt;
  return number;
}

// The fields of /proc/self/stat from the third one on: the second, a name in parentheses, may hold
// anything.
std::vector<std::string> StatFields() {
  const std::string stat = ReadFile("/proc/self/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return {};
  return absl::StrSplit(stat.substr(name_end + 1), ' ', absl::SkipEmpty());
}

// When the machine booted, in Unix seconds.
std::optional<double> BootTime() {
  const std::vector<std::string> lines = absl::StrSplit(ReadFile("/proc/stat"), '\n');
  for (const std::string& line : lines) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (fields.size() == 2 && fields[0] == "btime") return NumberAt(fields, 1);
  }
  return std::nullopt;
}

std::optional<uint64_t> OpenFiles() {
  std::error_code error;
  auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
  uint64_t count = 0;
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) ++count;
  if (error || count == 0) return std::nullopt;
  return count - 1;  // that of the folder itself
}

void Write(TextWriter& text, std::string_view name, std::string_view help, Type type,
           std::optional<double> value) {
  if (!value) return;
  text.Head(name, help, type);
  text.Sample(name, {}, *value);
}

}  // namespace

void WriteProcess(TextWriter& text) {
  // proc(5) counts them from 1: utime is 14, stime 15, starttime 22, vsize 23, rss 24.
  constexpr size_t kFirst = 3;
  const std::vector<std::string> stat = StatFields();
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto user = NumberAt(stat, 14 - kFirst);
  const auto system = NumberAt(stat, 15 - kFirst);
  if (user && system) {
    Write(text, "process_cpu_seconds_total", "User and system CPU time spent, in seconds.",
          Type::kCounter, (*user + *system) / ticks);
  }
  const auto start = NumberAt(stat, 22 - kFirst);
  const auto boot = BootTime();
  if (start && boot) {
    Write(text, "process_start_time_seconds", "When the process started, in Unix seconds.",
          Type::kGauge, *boot + *start / ticks);
  }
  Write(text, "process_virtual_memory_bytes", "Virtual memory size in bytes.", Type::kGauge,
        NumberAt(stat, 23 - kFirst));
  if (const auto pages = NumberAt(stat, 24 - kFirst)) {
    Write(text, "process_resident_memory_bytes", "Resident memory size in bytes.", Type::kGauge,
          *pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
  }
  if (const auto files = OpenFiles()) {
    Write(text, "process_open_fds", "Number of open file descriptors.", Type::kGauge,
          static_cast<double>(*files));
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    Write(text, "process_max_fds", "Largest number of open file descriptors.", Type::kGauge,
          static_cast<double>(limit.rlim_cur));
  }
}

}  // namespace fleet::metrics
