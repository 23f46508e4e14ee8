#pragma once

// What a command runs with: its flags, where its output goes, and the API, connected to when first
// used. One per process; used by one thread.

#include <functional>
#include <istream>
#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "client/api_client.h"
#include "fleetctl/flags.h"

namespace fleet::fleetctl {

// What a process gets from outside; replaced in tests.
struct Environment {
  std::map<std::string, std::string> variables;
  std::istream* in = nullptr;
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  bool terminal = false;      // `out` is one
  bool err_terminal = false;  // `err` is one
  std::string terminal_device = "/dev/tty";
  std::string machine_id_file = "/etc/machine-id";
};

class Session {
 public:
  Session(Environment environment, Parsed parsed, client::ClientOptions options);

  const Flags& flags() const { return parsed_.flags; }
  const std::vector<std::string>& arguments() const { return parsed_.arguments; }
  std::ostream& out() const { return *environment_.out; }
  std::ostream& err() const { return *environment_.err; }
  const Environment& environment() const { return environment_; }
  // Colours and progress are for people at a terminal, and not with NO_COLOR.
  bool has_colour() const { return environment_.terminal && !HasNoColour(); }
  bool shows_progress() const { return environment_.err_terminal && !HasNoColour(); }
  client::ApiClient& api();
  // What another client of the same API is made with.
  const client::ClientOptions& client_options() const { return options_; }

  // "ID.../IP" (whole with --full where a command has it); the machines are read once, when first
  // needed, and once more for an id that is not among them.
  std::string LabelOf(const std::string& machine_id);
  // Nullptr if there is no such machine, or they cannot be read. Valid until the next call.
  const client::Machine* FindMachine(const std::string& machine_id);

  // This machine's id, or empty.
  std::string LocalMachineId() const;

  // Prints an error on stderr, and returns its exit code.
  int Fail(const absl::Status& status) const;

 private:
  bool HasNoColour() const;

  Environment environment_;
  Parsed parsed_;
  client::ClientOptions options_;
  std::unique_ptr<client::ApiClient> api_;
  std::map<std::string, client::Machine> machines_;
  std::set<std::string> unknown_machines_;  // not among them when they were read
};

}  // namespace fleet::fleetctl
