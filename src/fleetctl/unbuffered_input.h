#pragma once

// Standard input read byte by byte: what follows an answer on it belongs to the command that is
// run next.

#include <unistd.h>

#include <cerrno>
#include <streambuf>

namespace fleet::fleetctl {

class UnbufferedInput final : public std::streambuf {
 public:
  explicit UnbufferedInput(int fd) : fd_(fd) {}

 protected:
  int_type underflow() override {
    ssize_t n = 0;
    do {
      n = read(fd_, &byte_, 1);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) return traits_type::eof();
    setg(&byte_, &byte_, &byte_ + 1);
    return traits_type::to_int_type(byte_);
  }

  // As many bytes as are asked for, but none more.
  std::streamsize xsgetn(char* bytes, std::streamsize count) override {
    std::streamsize got = 0;
    if (count > 0 && gptr() < egptr()) {
      bytes[got++] = *gptr();
      gbump(1);
    }
    while (got < count) {
      const ssize_t n = read(fd_, bytes + got, static_cast<size_t>(count - got));
      if (n == 0 || (n < 0 && errno != EINTR)) break;
      if (n > 0) got += n;
    }
    return got;
  }

 private:
  int fd_;
  char byte_ = 0;
};

}  // namespace fleet::fleetctl
