#include "base/process_metrics.h"

#include <fcntl.h>

#include <string>

#include "absl/strings/numbers.h"
#include "base/descriptor.h"
#include "gtest/gtest.h"

namespace fleet::metrics {
namespace {

double ValueOf(const std::string& name) {
  TextWriter writer;
  WriteProcess(writer);
  const std::string text = writer.Take();
  const size_t at = text.find("\n" + name + " ");
  double value = -1;
  if (at == std::string::npos) return value;
  const size_t begin = at + name.size() + 2;
  EXPECT_TRUE(absl::SimpleAtod(text.substr(begin, text.find('\n', begin) - begin), &value));
  return value;
}

TEST(ProcessMetrics, SayWhatThisProcessUses) {
  EXPECT_GE(ValueOf("process_cpu_seconds_total"), 0);
  EXPECT_GT(ValueOf("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(ValueOf("process_virtual_memory_bytes"), ValueOf("process_resident_memory_bytes"));
  EXPECT_GT(ValueOf("process_start_time_seconds"), 1'000'000'000);
  EXPECT_GT(ValueOf("process_max_fds"), ValueOf("process_open_fds"));
}

TEST(ProcessMetrics, AFileThatIsOpenCounts) {
  const double before = ValueOf("process_open_fds");
  const Descriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(ValueOf("process_open_fds"), before + 1);
}

}  // namespace
}  // namespace fleet::metrics
