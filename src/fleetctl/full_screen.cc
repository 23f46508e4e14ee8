#include "fleetctl/full_screen.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string_view>
#include <utility>

namespace fleet::fleetctl {
namespace {

constexpr std::array<std::pair<std::string_view, Key>, 12> kSequences = {{
    {"\033[A", Key::kUp},
    {"\033OA", Key::kUp},
    {"\033[B", Key::kDown},
    {"\033OB", Key::kDown},
    {"\033[5~", Key::kPageUp},
    {"\033[6~", Key::kPageDown},
    {"\033[H", Key::kHome},
    {"\033OH", Key::kHome},
    {"\033[1~", Key::kHome},
    {"\033[F", Key::kEnd},
    {"\033OF", Key::kEnd},
    {"\033[4~", Key::kEnd},
}};

// One character, which is no sequence.
Press Single(char c) {
  constexpr char kInterrupt = 3;
  switch (c) {
    case 'q':
    case kInterrupt:
      return {Key::kQuit};
    case 'k':
      return {Key::kUp};
    case 'j':
      return {Key::kDown};
    case 'b':
      return {Key::kPageUp};
    case ' ':
      return {Key::kPageDown};
    case 'g':
      return {Key::kHome};
    case 'G':
      return {Key::kEnd};
    default:
      return {Key::kOther, c};
  }
}

// Where the handler of signals tells them; a handler is given nothing else to find that by.
std::atomic<int> signals_told = -1;

void TellSignal(int signal) {
  const int before = errno;
  const auto byte = static_cast<unsigned char>(signal);
  // A full pipe has one already.
  static_cast<void>(write(signals_told, &byte, 1) == 1);
  errno = before;
}

}  // namespace

std::vector<Press> KeysOf(std::string_view bytes) {
  std::vector<Press> keys;
  while (!bytes.empty()) {
    size_t length = 0;
    for (const auto& [sequence, key] : kSequences) {
      if (!bytes.starts_with(sequence)) continue;
      keys.push_back({key});
      length = sequence.size();
      break;
    }
    if (length == 0) {
      keys.push_back(Single(bytes[0]));
      length = 1;
    }
    bytes.remove_prefix(length);
  }
  return keys;
}

absl::StatusOr<std::unique_ptr<FullScreen>> FullScreen::Open(std::ostream& out) {
  termios before{};
  if (tcgetattr(STDIN_FILENO, &before) != 0)
    return absl::FailedPreconditionError("the standard input is not a terminal");
  return std::unique_ptr<FullScreen>(new FullScreen(out, before));
}

FullScreen::FullScreen(std::ostream& out, const termios& before) : out_(out), before_(before) {
  termios raw = before;
  cfmakeraw(&raw);
  raw.c_oflag = before.c_oflag;
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  // So that poll() ends when the size has changed.
  struct sigaction resized {};
  resized.sa_handler = [](int) {};
  sigaction(SIGWINCH, &resized, nullptr);
  std::array<int, 2> ends = {-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0) {
    signals_ = Descriptor(ends[0]);
    signals_told_ = Descriptor(ends[1]);
    signals_told = ends[1];
    struct sigaction told {};
    told.sa_handler = TellSignal;
    for (size_t i = 0; i < kEnding.size(); ++i) sigaction(kEnding[i], &told, &handlers_before_[i]);
  }
  out_ << "\033[?1049h\033[?25l" << std::flush;
  Measure();
}

FullScreen::~FullScreen() {
  out_ << "\033[?25h\033[?1049l" << std::flush;
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  if (signals_.get() < 0) return;
  for (size_t i = 0; i < kEnding.size(); ++i) sigaction(kEnding[i], &handlers_before_[i], nullptr);
}

void FullScreen::Measure() {
  winsize size{};
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return;
  rows_ = size.ws_row;
  columns_ = size.ws_col;
}

void FullScreen::Draw(const std::vector<std::string>& lines) {
  std::string text = "\033[H";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) text += "\r\n";
    text += lines[i] + "\033[K";
  }
  out_ << text << "\033[J" << std::flush;
}

std::vector<Press> FullScreen::Wait(int wake, absl::Duration limit) {
  const auto readable = [](int fd) { return pollfd{.fd = fd, .events = POLLIN, .revents = 0}; };
  std::array<pollfd, 3> waiting = {readable(STDIN_FILENO), readable(wake),
                                   readable(signals_.get())};
  if (poll(waiting.data(), waiting.size(), static_cast<int>(absl::ToInt64Milliseconds(limit))) <= 0)
    return {};
  if (waiting[2].revents != 0) {
    unsigned char number = 0;
    if (read(signals_.get(), &number, 1) == 1 && signal_ == 0) signal_ = number;
    return {{Key::kQuit}};
  }
  if (waiting[0].revents == 0) return {};
  std::array<char, 64> bytes{};
  const ssize_t n = read(STDIN_FILENO, bytes.data(), bytes.size());
  if (n <= 0) return {{Key::kQuit}};  // the terminal has gone
  return KeysOf({bytes.data(), static_cast<size_t>(n)});
}

}  // namespace fleet::fleetctl
