// The scripts of `completion`, run by the shells that are here.

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;

// Asks bash as it does itself: the function, with the line in COMP_LINE.
const char* const kAskBash = R"(
compopt() { :; }
. ./script.bash
while IFS= read -r COMP_LINE; do
  COMP_POINT=${#COMP_LINE}
  _fleetctl
  echo "${COMPREPLY[*]}"
done <lines
)";

// zsh completes only what is typed: into another zsh, on a terminal of its own.
const char* const kAskZsh = R"(
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell '. ./typed.zsh'
zpty -r shell text '*</hits>'
while IFS= read -r line; do
  zpty -w -n shell $line$'\x18'
  zpty -r shell text '*</hits>'
  print -r -- "${${text##*<hits>}%</hits>*}"
done <lines
)";
const char* const kTypedZsh = R"(
PS1= PS2= PATH=.:$PATH KEYTIMEOUT=1
autoload -Uz compinit && compinit -u -D
. ./script.zsh
compadd() {
  local -a one
  builtin compadd -A one "$@"
  hits+=("${one[@]}")
  builtin compadd "$@"
}
ask() {
  hits=()
  zle complete-word
  print -r -- "<hits>$hits</hits>"
  BUFFER=
}
zle -N ask
bindkey '^X' ask
print '<hits></hits>'
)";

const char* const kAskFish = R"(
source script.fish
while read -l line
  echo (complete -C $line | string replace -r '\t.*' '')
end <lines
)";

class Shells : public ::testing::Test {
 protected:
  Shells() {
    for (const std::string shell : {"bash", "zsh", "fish"})
      fleet_.Write(Cat("script.", shell), fleet_.Run({"completion", shell}).out);
    fleet_.Write("ask.bash", kAskBash);
    fleet_.Write("ask.zsh", kAskZsh);
    fleet_.Write("typed.zsh", kTypedZsh);
    fleet_.Write("ask.fish", kAskFish);
    // Stands for the program: the names it has been asked for, and with which cluster.
    fleet_.Write("fleetctl",
                 "#!/bin/sh\ncase \"$*\" in\n"
                 "  *list-unit-files*) echo web@.service; echo web@2.service; echo db.service ;;\n"
                 "  *--state=absent*) printf \"c3c3\\t-\\n\" ;;\n"
                 "  *list-machines*--absent*) printf \"8be9f57e\\tnode1\\nc3c3\\t-\\n\" ;;\n"
                 "  *list-machines*) printf \"8be9f57e\\tnode1\\nb1b2    \\t-\\n\" ;;\nesac\n"
                 "echo \"$*\" >>" +
                     fleet_.directory() + "asked\n");
    EXPECT_EQ(std::system(Cat("chmod +x ", fleet_.directory(), "fleetctl").c_str()), 0);
  }

  // What the shell would offer behind each line: sorted, each word once.
  std::vector<std::vector<std::string>> Complete(const std::string& shell,
                                                 const std::vector<std::string>& lines) {
    fleet_.Write("lines", Join(lines, "\n") + "\n");
    const std::string options = shell == "fish" ? " --no-config " : shell == "zsh" ? " -f " : " ";
    const std::string command =
        Cat("cd ", fleet_.directory(), " && HOME=$PWD PATH=.:$PATH timeout 60 ", shell, options,
            "ask.", shell, " 2>&1");
    FILE* pipe = popen(command.c_str(), "r");
    std::string text;
    char bytes[4096];
    for (size_t n = 0; (n = fread(bytes, 1, sizeof(bytes), pipe)) > 0;) text.append(bytes, n);
    pclose(pipe);
    std::vector<std::vector<std::string>> words;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      words.push_back(SplitList(text.substr(begin, end - begin), ' '));
      begin = end + 1;
      std::sort(words.back().begin(), words.back().end());
      words.back().erase(std::unique(words.back().begin(), words.back().end()), words.back().end());
    }
    EXPECT_EQ(words.size(), lines.size()) << text;
    words.resize(lines.size());
    return words;
  }

  std::string Asked() const {
    std::string asked;
    if (FILE* file = fopen((fleet_.directory() + "asked").c_str(), "r")) {
      char bytes[4096] = {};
      asked.assign(bytes, fread(bytes, 1, sizeof(bytes), file));
      fclose(file);
    }
    return asked;
  }

  FakeFleet fleet_;
};

class ShellTest : public Shells, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    const std::string look = Cat("command -v ", GetParam(), " >/dev/null");
    if (std::system(look.c_str()) != 0) GTEST_SKIP() << GetParam() << " is not installed";
  }
};

// What is the same in all of them. One run of the shell, for its start takes a while.
TEST_P(ShellTest, OffersWhatMayStandThere) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> expected = {
      {"fleetctl list-u", {"list-unit-files", "list-units"}},
      {"fleetctl --endpoint http://x list-m", {"list-machines"}},
      {"fleetctl help lo", {"load", "logs"}},
      {"fleetctl logs --fol", {"--follow"}},
      {"fleetctl start --fol", {}},
      {"fleetctl stop d", {"db.service"}},
      {"fleetctl stop db.service d", {"db.service"}},
      {"fleetctl stop --no-block d", {"db.service"}},
      {"fleetctl drain 8", {"8be9f57e"}},
      {"fleetctl drain n", {"node1"}},
      {"fleetctl ssh b", {"b1b2"}},
      // Those that are away where they are what is meant, or may be.
      {"fleetctl drain c", {}},
      {"fleetctl forget ", {"c3c3"}},
      {"fleetctl uncordon c", {"c3c3"}},
      {"fleetctl metadata 8", {"8be9f57e"}},
      {"fleetctl metadata c", {"c3c3"}},
      {"fleetctl events --machine c", {"c3c3"}},
      {"fleetctl list-units --machine b", {"b1b2"}},
      {"fleetctl events --unit d", {"db.service"}},
      {"fleetctl --ssh-username d", {}},
      {"fleetctl list-units -o ya", {"yaml"}},
      {"fleetctl logs -o c", {"cat"}},
      {"fleetctl completion f", {"fish"}},
      {"fleetctl rollout st", {"status"}},
      {"fleetctl rollout undo d", {"db.service"}},
      {"fleetctl plan d", {"destroy", "drain"}},
      {"fleetctl plan drain b", {"b1b2"}},
      {"fleetctl plan add ", {}},
      // Files beside units where both may stand, units alone where they may not.
      {"fleetctl start d", {"db.service", "dx.service"}},
      {"fleetctl scale d", {"dx.service"}},
      {"fleetctl scale w", {"web@.service"}},
      {"fleetctl plan scale w", {"web@.service"}},
      {"fleetctl list-machines --state dra", {"drain-expired", "drained", "draining"}},
      {"fleetctl list-units --fields unit,ma", {"unit,machine"}},
      {"fleetctl list-unit-files --state loaded,dr", {"loaded,drifted"}},
      // A beginning of a command or a verb stands for it.
      {"fleetctl list-m --abs", {"--absent"}},
      {"fleetctl dra 8", {"8be9f57e"}},
      {"fleetctl roll und d", {"db.service"}},
      {"fleetctl update d", {"db.service", "dx.service"}},
      {"fleetctl destroy d", {"db.service"}},
      {"fleetctl verify d", {"dx.service"}},
  };
  fleet_.Write("dx.service", "");
  std::vector<std::string> lines;
  for (const auto& [line, words] : expected) lines.push_back(line);
  const auto offered = Complete(GetParam(), lines);
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(offered[i], expected[i].second) << expected[i].first;
}

TEST_P(ShellTest, AsksTheClusterOfTheLine) {
  Complete(GetParam(), {"fleetctl --endpoint=http://far:1 stop d",
                        "fleetctl --ca-file /ca stop --endpoint http://far:2 d"});
  EXPECT_THAT(Asked(), HasSubstr("--endpoint=http://far:1 list-unit-files -o name"));
  EXPECT_THAT(Asked(), HasSubstr("--ca-file=/ca --endpoint=http://far:2 list-unit-files -o name"));
}

INSTANTIATE_TEST_SUITE_P(, ShellTest, testing::Values("bash", "zsh", "fish"),
                         [](const auto& one) { return one.param; });

class BashTest : public Shells {
 protected:
  std::vector<std::string> Complete(const std::string& line) {
    return Shells::Complete("bash", {line})[0];
  }
};

TEST_F(BashTest, DoesNotRepeatWhatBashTakesForAnEarlierWord) {
  EXPECT_THAT(Complete("fleetctl stop web@"), ElementsAre(".service", "2.service"));
  EXPECT_THAT(Complete("fleetctl logs --endp"), ElementsAre("--endpoint="));
  EXPECT_THAT(Complete("fleetctl list-units --machine=b"), ElementsAre("b1b2"));
  EXPECT_THAT(Complete("fleetctl list-units --fields=unit,ma"), ElementsAre("unit,machine"));
  EXPECT_THAT(Complete("fleetctl list-units -o w"), ElementsAre("wide"));
  EXPECT_THAT(Complete("fleetctl "), IsSupersetOf({"start", "logs", "top"}));
}

TEST(Completion, NamesEachCommandInEachShell) {
  FakeFleet fleet;
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const Result result = fleet.Run({"completion", shell});
    EXPECT_EQ(result.code, kDone);
    for (const Command& command : Commands())
      EXPECT_THAT(result.out, HasSubstr(std::string(command.name))) << shell;
  }
  EXPECT_EQ(fleet.Run({"completion", "tcsh"}).code, kUsage);
}

TEST(Help, HasAnExampleForEachCommand) {
  for (const Command& command : Commands()) {
    EXPECT_THAT(std::string(command.example), HasSubstr(Cat("fleetctl ", command.name)))
        << command.name;
  }
}

}  // namespace
}  // namespace fleet::fleetctl
