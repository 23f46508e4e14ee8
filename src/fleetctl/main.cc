#include <unistd.h>

#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/standard_streams.h"
#include "fleetctl/unbuffered_input.h"

int main(int argc, char** argv) {
  fleet::fleetctl::FillStandardStreams();
  std::ios::sync_with_stdio(false);
  fleet::fleetctl::UnbufferedInput input_bytes(STDIN_FILENO);
  std::istream input(&input_bytes);
  fleet::fleetctl::Environment environment{.in = &input,
                                           .out = &std::cout,
                                           .err = &std::cerr,
                                           .terminal = isatty(STDOUT_FILENO) == 1,
                                           .err_terminal = isatty(STDERR_FILENO) == 1};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view entry = *variable;
    const size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    environment.variables[std::string(entry.substr(0, equals))] =
        std::string(entry.substr(equals + 1));
  }
  const int code =
      fleet::fleetctl::Run(std::vector<std::string>(argv + 1, argv + argc), environment);
  if (std::cout.flush()) return code;
  std::cerr << "Error: cannot write to the standard output\n";
  return code == fleet::fleetctl::kDone ? fleet::fleetctl::kFailed : code;
}
