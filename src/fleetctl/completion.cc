#include "fleetctl/completion.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/listing.h"
#include "fleetctl/output.h"
#include "fleetctl/verbs.h"

namespace fleet::fleetctl {
namespace {

// Which machines a command takes: forget those that are away, some those as well.
std::string_view MachinesFor(std::string_view command) {
  if (command == "forget") return "absent_machines";
  const bool known = command == "uncordon" || command == "metadata" || command == "events";
  return known ? "known_machines" : "machines";
}

// What stands where a command's argument does; a function of the scripts gives the words for it.
std::string_view KindOf(std::string_view placeholder, std::string_view command) {
  const auto has = [&](std::string_view word) {
    return placeholder.find(word) != std::string_view::npos;
  };
  if (has("TARGET")) return "targets";
  if (has("COMMAND")) return "commands";
  if (has("SHELL")) return "shells";
  const bool files = has("FILE") || has("SOCKET");
  if (has("NAME") || has("UNIT")) return files ? "units_files" : "units";
  if (has("TEMPLATE")) return files ? "templates_files" : "templates";
  if (has("MACHINE") || has("ID")) return MachinesFor(command);
  return files ? "files" : "nothing";
}

std::string WithBlanks(std::string_view list) { return Join(SplitList(list, ','), " "); }

// The command of the scripts that prints the words for a flag's value.
std::string ValueWords(const FlagSpec& flag, std::string_view command) {
  if (flag.name == "output" && command != "journal")
    return Cat("echo ", Join(FormatsOf(flag), " "));
  if (flag.name == "machine" || flag.name == "like") return Cat("_fleetctl_", MachinesFor(command));
  if (flag.name == "unit") return "_fleetctl_units";
  if (const ListWords* list = WordsOfList(command)) {
    if (flag.name == "fields") return Cat("_fleetctl_list ", WithBlanks(list->fields));
    if (flag.name == "state") return Cat("_fleetctl_list ", WithBlanks(list->states));
  }
  return flag.value == "FILE" ? "_fleetctl_files" : "_fleetctl_nothing";
}

std::vector<FlagSpec> Shown(const std::vector<FlagSpec>& flags) {
  std::vector<FlagSpec> shown;
  for (const FlagSpec& flag : flags)
    if (!flag.help.empty()) shown.push_back(flag);
  return shown;
}

std::string Spellings(const std::vector<FlagSpec>& flags) {
  std::string text;
  for (const FlagSpec& flag : Shown(flags)) {
    Append(text, text.empty() ? "" : " ", "--", flag.name, flag.value.empty() ? "" : "=");
    if (flag.letter != 0) Append(text, " -", flag.letter);
  }
  return text;
}

// The flags whose value is the next word.
std::vector<std::string> TakeNext() {
  std::vector<std::string> patterns;
  const auto add = [&](const std::vector<FlagSpec>& flags) {
    for (const FlagSpec& flag : flags) {
      if (flag.value.empty() || flag.optional) continue;
      patterns.push_back(Cat("--", flag.name));
      if (flag.letter != 0) patterns.push_back(Cat("-", flag.letter));
    }
  };
  add(GlobalFlags());
  for (const Command& command : Commands()) add(command.flags);
  std::sort(patterns.begin(), patterns.end());
  patterns.erase(std::unique(patterns.begin(), patterns.end()), patterns.end());
  return patterns;
}

// Those that say which cluster is meant.
constexpr std::array<std::string_view, 7> kClusterFlags = {
    "--endpoint", "--driver",    "--etcd-key-prefix", "--tunnel",
    "--ca-file",  "--cert-file", "--key-file"};

std::string VerbNames(const std::vector<Verb>& verbs) {
  std::vector<std::string_view> names;
  names.reserve(verbs.size());
  for (const Verb& verb : verbs) names.push_back(verb.name);
  return Join(names, " ");
}

std::string Names() {
  std::vector<std::string> names;
  for (const Command& command : Commands()) names.emplace_back(command.name);
  return Join(names, " ");
}

// Functions that bash and zsh have in common. Both set `words` (without the one that is being
// completed) and `cur`, and take the words that _fleetctl_words prints, one a line or separated by
// blanks.
std::string CommonFunctions() {
  std::vector<std::string> with_values;
  with_values.reserve(kClusterFlags.size());
  for (const std::string_view flag : kClusterFlags) with_values.push_back(Cat(flag, "=*"));
  std::string text = Cat(R"(_fleetctl_ask() {
  # The same cluster as the line's.
  local word takes=
  local -a where=()
  for word in "${words[@]}"; do
    if [ -n "$takes" ]; then
      where+=("$takes=$word") takes=
      continue
    fi
    case $word in
      )",
                         Join(with_values, "|"), R"() where+=("$word") ;;
      )",
                         Join(kClusterFlags, "|"), R"() takes=$word ;;
    esac
  done
  command fleetctl "${where[@]}" "$@" 2>/dev/null </dev/null
}
_fleetctl_units() { _fleetctl_ask list-unit-files -o name; }
_fleetctl_templates() { _fleetctl_units | grep '@\.'; }
_fleetctl_machines() {
  # Ids and host names, as far as those are known.
  _fleetctl_ask list-machines --full --no-legend --fields=machine,hostname "$@" |
    tr -s ' \t' '\n\n' | grep -vx -e -
}
_fleetctl_known_machines() { _fleetctl_machines --absent; }
_fleetctl_absent_machines() { _fleetctl_machines --absent --state=absent; }
_fleetctl_targets() { _fleetctl_units; _fleetctl_machines; }
_fleetctl_nothing() { :; }
_fleetctl_files() { echo "$_fleetctl_wants_files"; }
_fleetctl_units_files() { _fleetctl_units; _fleetctl_files; }
_fleetctl_templates_files() { _fleetctl_templates; _fleetctl_files; }
# What may be next in a list with commas.
_fleetctl_list() {
  local word value=${cur#--*=} before=
  case $value in *,*) before=${value%,*}, ;; esac
  for word in "$@"; do echo "$before$word"; done
}
# The one of the other words that the first one is or begins; "/" if that is not one.
_fleetctl_whole() {
  local word found=
  for word in "${@:2}"; do
    case $word in
      "$1") found=$word; break ;;
      "$1"*) if [ -n "$found" ]; then found=/; else found=$word; fi ;;
    esac
  done
  echo "${found:-/}"
}
_fleetctl_shells() { echo "bash zsh fish"; }
_fleetctl_commands() { echo ")",
                         Names(), R"("; }
_fleetctl_words() {
  local word command= verb= prev= skip=
  for word in "${words[@]}"; do
    if [ -n "$skip" ]; then
      skip=
    else
      case $word in
        )",
                         Join(TakeNext(), "|"), R"() skip=1 ;;
        -*) ;;
        *) if [ -z "$command" ]; then command=$word; else verb=${verb:-$word}; fi ;;
      esac
    fi
    prev=$word
  done
  [ -z "$command" ] || command=$(_fleetctl_whole "$command" $(_fleetctl_commands))
  # The value of a flag, behind it or as the next word.
  case $cur in --*=*) prev=${cur%%=*} skip=1 ;; esac
  if [ -n "$skip" ]; then
    case $command:$prev in
)");
  const auto add_values = [&](std::string_view command, const std::vector<FlagSpec>& flags) {
    for (const FlagSpec& flag : Shown(flags)) {
      if (flag.value.empty()) continue;
      Append(text, "      ", command, ":--", flag.name);
      if (flag.letter != 0) Append(text, "|", command, ":-", flag.letter);
      Append(text, ") ", ValueWords(flag, command), " ;;\n");
    }
  };
  for (const Command& command : Commands()) add_values(command.name, command.flags);
  add_values("*", GlobalFlags());
  text += R"(    esac
    return
  fi
  case $command:$cur in
)";
  Append(text, "    :-*) echo \"", Spellings(GlobalFlags()),
         "\" ;;\n    :*) _fleetctl_commands ;;\n");
  for (const Command& command : Commands()) {
    Append(text, "    ", command.name, ":-*) echo \"", Spellings(command.flags), " ",
           Spellings(GlobalFlags()), "\" ;;\n");
    const std::vector<Verb> verbs = VerbsOf(command.arguments);
    if (verbs.empty()) {
      Append(text, "    ", command.name, ":*) _fleetctl_", KindOf(command.arguments, command.name),
             " ;;\n");
      continue;
    }
    Append(text, "    ", command.name, ":*)\n      [ -z \"$verb\" ] || verb=$(_fleetctl_whole ",
           "\"$verb\" ", VerbNames(verbs), ")\n      case $verb in\n        '') echo \"",
           VerbNames(verbs), "\" ;;\n");
    for (const Verb& verb : verbs)
      Append(text, "        ", verb.name, ") _fleetctl_", KindOf(verb.arguments, command.name),
             " ;;\n");
    text += "      esac ;;\n";
  }
  text += "  esac\n}\n";
  return text;
}

// In single quotes.
std::string FishQuoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

// Words that are known when the script is made come one a line, as fish wants them.
std::string FishWords(const std::string& words) {
  if (!words.starts_with("echo ")) return words;
  return Cat("printf \"%s\\n\" ", words.substr(std::string_view("echo ").size()));
}

void AppendFishFlag(std::string& text, const FlagSpec& flag, std::string_view command) {
  text += "complete -c fleetctl";
  if (!command.empty()) Append(text, " -n '_fleetctl_is ", command, "'");
  Append(text, " -l ", flag.name);
  if (flag.letter != 0) Append(text, " -s ", flag.letter);
  if (!flag.value.empty() && !flag.optional) {
    const std::string words = ValueWords(flag, command);
    text += words == "_fleetctl_files" ? " -r -F" : Cat(" -x -a '(", FishWords(words), ")'");
  }
  Append(text, " -d ", FishQuoted(flag.help), "\n");
}

// What stands behind the words of `condition`.
void AppendFishArguments(std::string& text, std::string_view condition, std::string_view arguments,
                         std::string_view command) {
  std::string_view kind = KindOf(arguments, command);
  const std::string seen = Cat("complete -c fleetctl -n '_fleetctl_is ", condition, "'");
  constexpr std::string_view kAndFiles = "_files";
  const bool has_more = kind.ends_with(kAndFiles);
  if (kind == "files" || has_more) Append(text, seen, " -F\n");
  if (has_more) kind.remove_suffix(kAndFiles.size());
  if (kind != "files" && kind != "nothing") Append(text, seen, " -a '(_fleetctl_", kind, ")'\n");
}

std::string FishFunctions() {
  std::vector<std::string> with_values;
  with_values.reserve(kClusterFlags.size());
  for (const std::string_view flag : kClusterFlags) with_values.push_back(Cat("'", flag, "=*'"));
  return Cat(R"(function _fleetctl_ask
  # The same cluster as the line's.
  set -l where
  set -l takes
  for word in (commandline -opc)[2..]
    if test -n "$takes"
      set -a where $takes=$word
      set takes
      continue
    end
    switch $word
      case )",
             Join(with_values, " "), R"(
        set -a where $word
      case )",
             Join(kClusterFlags, " "), R"(
        set takes $word
    end
  end
  command fleetctl $where $argv 2>/dev/null </dev/null
end
function _fleetctl_units; _fleetctl_ask list-unit-files -o name; end
function _fleetctl_templates; _fleetctl_units | string match '*@.*'; end
function _fleetctl_machines
  # Ids and host names, as far as those are known.
  _fleetctl_ask list-machines --full --no-legend --fields=machine,hostname $argv |
    string match -ra '[^ \t]+' | string match -v -- -
end
function _fleetctl_known_machines; _fleetctl_machines --absent; end
function _fleetctl_absent_machines; _fleetctl_machines --absent --state=absent; end
# What may be next in a list with commas.
function _fleetctl_list
  set -l value (string replace -r '^--[^=]*=' '' -- (commandline -ct))
  set -l before (string match -r '^.*,' -- $value)
  for word in $argv
    echo "$before$word"
  end
end
function _fleetctl_targets; _fleetctl_units; _fleetctl_machines; end
function _fleetctl_nothing; end
function _fleetctl_shells; printf '%s\n' bash zsh fish; end
function _fleetctl_commands; printf '%s\n' )",
             Names(), R"(; end
# The command and its arguments before the word that is being completed.
function _fleetctl_words
  set -l skip
  for word in (commandline -opc)[2..]
    if test -n "$skip"
      set skip
      continue
    end
    switch $word
      case )",
             Join(TakeNext(), " "), R"(
        set skip 1
      case '-*'
      case '*'
        echo $word
    end
  end
end
# Whether they begin so. A beginning of a command or verb stands for it.
function _fleetctl_is
  set -l words (_fleetctl_words)
  for i in (seq (count $argv))
    test -n "$words[$i]"; and string match -q -- "$words[$i]*" $argv[$i]; or return 1
  end
end
# Whether there are so many.
function _fleetctl_has; test (count (_fleetctl_words)) -eq $argv[1]; end
)");
}

}  // namespace

std::string BashCompletion() {
  return Cat("# bash completion of fleetctl: source <(fleetctl completion bash)\n",
             CommonFunctions(), R"(_fleetctl() {
  # Not bash's own words, which end at @ and :.
  local line=${COMP_LINE:0:COMP_POINT} cur= before _fleetctl_wants_files=/files/
  local -a words found
  read -ra words <<<"$line"
  if [[ $line != *[[:space:]] ]]; then
    cur=${words[-1]}
    unset 'words[-1]'
  fi
  words=("${words[@]:1}")
  mapfile -t found < <(_fleetctl_words | tr ' ' '\n')
  local value=$cur
  case $cur in --*=*) value=${cur#*=} ;; esac
  COMPREPLY=()
  local word
  for word in "${found[@]}"; do
    if [ "$word" = /files/ ]; then
      compopt -o filenames
      mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$value")
    elif [[ -n $word && $word == "$value"* ]]; then
      COMPREPLY+=("$word")
    fi
  done
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
  # What bash takes for an earlier word is there already.
  before=${value%"${value##*[:@=]}"}
  [ -z "$before" ] || COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -F _fleetctl fleetctl
)");
}

std::string ZshCompletion() {
  return Cat("#compdef fleetctl\n# zsh completion of fleetctl: source <(fleetctl completion zsh)\n",
             CommonFunctions(), R"(_fleetctl() {
  local cur=${words[CURRENT]} _fleetctl_wants_files=/files/ value word
  local -a line=("${(@)words[2,CURRENT-1]}") found
  () { local -a words=("${line[@]}"); found=(${=$(_fleetctl_words)}); }
  value=$cur
  if [[ $cur == --*=* ]]; then
    value=${cur#*=}
    compset -P '*='
  fi
  if [[ ${found[(I)/files/]} -gt 0 ]]; then
    found=("${(@)found:#/files/}")
    _files
  fi
  compadd -S '' -- "${(@M)found:#*=}"
  compadd -- "${(@)found:#*=}"
}
compdef _fleetctl fleetctl
)");
}

std::string FishCompletion() {
  std::string text = "# fish completion of fleetctl: fleetctl completion fish | source\n";
  Append(text, FishFunctions(), "complete -c fleetctl -f\n");
  for (const FlagSpec& flag : Shown(GlobalFlags())) AppendFishFlag(text, flag, "");
  for (const Command& command : Commands()) {
    Append(text, "complete -c fleetctl -n '_fleetctl_has 0' -a ", command.name, " -d ",
           FishQuoted(command.summary), "\n");
    for (const FlagSpec& flag : Shown(command.flags)) AppendFishFlag(text, flag, command.name);
    const std::vector<Verb> verbs = VerbsOf(command.arguments);
    if (verbs.empty()) AppendFishArguments(text, command.name, command.arguments, command.name);
    for (const Verb& verb : verbs) {
      Append(text, "complete -c fleetctl -n '_fleetctl_is ", command.name,
             "; and _fleetctl_has 1' -a ", verb.name, "\n");
      AppendFishArguments(text, Cat(command.name, " ", verb.name), verb.arguments, command.name);
    }
  }
  return text;
}

}  // namespace fleet::fleetctl
