#pragma once

// What handlers need of the network beyond requests and responses: answers of other machines' APIs,
// and pipes. Implemented by Server; everything is called in the API loop.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "api/http.h"

namespace fleet::api {

struct JournalRequest {
  std::string unit;
  int64_t lines = 10;  // the last ones
  bool follow = false;
  std::string after;  // a cursor: what comes behind it, however many lines
};

// Reads this machine's journal until it is destroyed.
class JournalReader {
 public:
  virtual ~JournalReader() = default;
  // Lines of journalctl --output=json come out of it. It stays the reader's.
  virtual int descriptor() const = 0;
  // OK once it has read all that was asked for, or why it has not; nullopt as long as that is not
  // known, which it is soon after its last line. Does not block.
  virtual std::optional<absl::Status> Ended() = 0;
};

struct ForwardRequest {
  std::string machine;                 // for messages
  std::vector<std::string> endpoints;  // "http://10.0.0.1:49153", tried in order
  std::string target;                  // of a GET
};

// What a line becomes in an event stream; empty: nothing.
using LineConverter = absl::AnyInvocable<std::string(std::string_view line)>;
// What a stream ends with whose reader has ended so.
using EndConverter = absl::AnyInvocable<std::string(const absl::Status& ended)>;

class StreamIo {
 public:
  virtual ~StreamIo() = default;

  // Copies what `reader` reads, line by line as `convert` has it, and finishes `sink` at its end,
  // with `last` of how it has ended. Reads no faster than `sink` takes it.
  virtual void CopyLines(std::unique_ptr<JournalReader> reader, std::shared_ptr<EventSink> sink,
                         LineConverter convert, EndConverter last) = 0;

  // Asks another machine's API, and answers what it answers: an event stream as it comes, anything
  // else whole. 502 if none of the endpoints can be reached.
  virtual void Forward(ForwardRequest request, Responder respond) = 0;
};

}  // namespace fleet::api
