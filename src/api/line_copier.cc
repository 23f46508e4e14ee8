#include "api/line_copier.h"

#include <unistd.h>

#include <array>
#include <utility>

#include "boost/asio/buffer.hpp"
#include "boost/asio/posix/stream_descriptor.hpp"
#include "boost/asio/steady_timer.hpp"

namespace fleet::api {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr size_t kMaxQueued = 256 << 10;  // with more unsent, nothing more is read
constexpr size_t kMaxLine = 1 << 20;      // a longer one is left out
constexpr auto kHeartbeat = std::chrono::seconds(15);
constexpr auto kLongestPause = std::chrono::milliseconds(2048);  // 4 s in all

class LineCopier : public std::enable_shared_from_this<LineCopier> {
 public:
  LineCopier(asio::io_context& io, std::unique_ptr<JournalReader> reader,
             std::shared_ptr<EventSink> sink, LineConverter convert, EndConverter last)
      : reader_(std::move(reader)),
        pipe_(io),
        heartbeat_(io),
        look_again_(io),
        sink_(std::move(sink)),
        convert_(std::move(convert)),
        last_(std::move(last)) {}

  void Start() {
    error_code ec;
    pipe_.assign(dup(reader_->descriptor()), ec);
    if (ec) {
      sink_->Close();
      return;
    }
    Beat();
    Read();
  }

 private:
  void Read() {
    if (sink_->closed()) {
      End();
      return;
    }
    if (sink_->QueuedBytes() > kMaxQueued) {
      sink_->OnDrained([self = shared_from_this()] { self->Read(); });
      return;
    }
    pipe_.async_read_some(asio::buffer(bytes_),
                          [self = shared_from_this()](error_code ec, size_t size) {
                            if (ec) {
                              self->Finish(ec);
                            } else {
                              self->Take(std::string_view(self->bytes_.data(), size));
                            }
                          });
  }

  void Take(std::string_view bytes) {
    rest_ += bytes;
    auto text = std::make_shared<std::string>();
    size_t begin = 0;
    for (size_t end = 0; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (!std::exchange(skips_, false))
        *text += convert_(std::string_view(rest_).substr(begin, end - begin));
    }
    rest_.erase(0, begin);
    if (rest_.size() > kMaxLine) {
      rest_.clear();
      skips_ = true;
    }
    sink_->Send(std::move(text));
    Read();
  }

  void Finish(error_code ec) {
    if (ec == asio::error::eof) {
      AwaitEnd(std::chrono::milliseconds(1));
    } else {
      sink_->Close();
      End();
    }
  }

  // It has closed its output, and ends any moment: looks at once, and then now and again.
  void AwaitEnd(std::chrono::milliseconds pause) {
    if (sink_->closed()) {
      End();
      return;
    }
    auto ended = reader_->Ended();
    if (!ended && pause > kLongestPause) {
      ended = absl::DeadlineExceededError("it says nothing more and does not end");
    }
    if (ended) {
      sink_->Send(std::make_shared<const std::string>(last_(*ended)));
      sink_->Finish();
      End();
      return;
    }
    look_again_.expires_after(pause);
    look_again_.async_wait([self = shared_from_this(), pause](error_code ec) {
      if (!ec) self->AwaitEnd(2 * pause);
    });
  }

  // Also tells that the client has gone where there is nothing to read.
  void Beat() {
    heartbeat_.expires_after(kHeartbeat);
    heartbeat_.async_wait([self = shared_from_this()](error_code ec) {
      if (ec) return;
      if (self->sink_->closed()) {
        self->End();
        return;
      }
      self->sink_->Send(std::make_shared<const std::string>(":\n\n"));
      self->Beat();
    });
  }

  void End() {
    error_code ignored;
    heartbeat_.cancel(ignored);
    look_again_.cancel(ignored);
    pipe_.close(ignored);
    reader_ = nullptr;
  }

  std::unique_ptr<JournalReader> reader_;
  asio::posix::stream_descriptor pipe_;
  asio::steady_timer heartbeat_;
  asio::steady_timer look_again_;
  std::shared_ptr<EventSink> sink_;
  LineConverter convert_;
  EndConverter last_;
  std::array<char, 16 << 10> bytes_{};
  std::string rest_;    // an incomplete line
  bool skips_ = false;  // until the end of a line that is too long
};

}  // namespace

void CopyLines(asio::io_context& io, std::unique_ptr<JournalReader> reader,
               std::shared_ptr<EventSink> sink, LineConverter convert, EndConverter last) {
  std::make_shared<LineCopier>(io, std::move(reader), std::move(sink), std::move(convert),
                               std::move(last))
      ->Start();
}

}  // namespace fleet::api
