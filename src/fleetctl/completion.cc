#include "fleetctl/completion.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "client/text.h"
#include "fleetctl/command.h"

namespace fleet::fleetctl {
namespace {

// What stands where a command's argument or a flag's value does; a function of the scripts gives
// the words for it.
std::string_view KindOf(std::string_view placeholder) {
  const auto has = [&](std::string_view word) {
    return placeholder.find(word) != std::string_view::npos;
  };
  if (has("TARGET")) return "targets";
  if (has("COMMAND")) return "commands";
  if (has("SHELL")) return "shells";
  if (has("NAME|FILE")) return "units_files";
  if (has("NAME") || has("UNIT")) return "units";
  if (has("MACHINE") || has("ID")) return "machines";
  if (has("FILE") || has("SOCKET")) return "files";
  return "nothing";
}

// The formats that a flag's help names: "table, wide (all fields), json, yaml or name".
std::string Formats(const FlagSpec& flag) {
  std::vector<std::string> found;
  for (const std::string_view format : {"text", "table", "wide", "json", "yaml", "name", "cat"}) {
    const size_t at = flag.help.find(format);
    if (at != std::string_view::npos && (at == 0 || flag.help[at - 1] == ' '))
      found.emplace_back(format);
  }
  return Join(found, " ");
}

std::string ValueWords(const FlagSpec& flag, std::string_view command) {
  if (flag.name == "output" && command != "journal") return Cat("echo ", Formats(flag));
  if (flag.value.empty()) return "_fleetctl_nothing";
  return Cat("_fleetctl_", flag.name == "machine" || flag.name == "like" ? "machines"
                           : flag.name == "unit" && command != "ssh"     ? "units"
                                                                         : KindOf(flag.value));
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

// The flags whose value is the next word, as patterns of a case.
std::string TakeNext() {
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
  return Join(patterns, "|");
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
  std::string text = Cat(R"(_fleetctl_ask() {
  # The same cluster as the line's.
  local word
  local -a where=()
  for word in "${words[@]}"; do
    case $word in
      --endpoint=* | --driver=* | --tunnel=* | --ca-file=* | --cert-file=* | --key-file=*)
        where+=("$word") ;;
    esac
  done
  command fleetctl "${where[@]}" "$@" -o name 2>/dev/null </dev/null
}
_fleetctl_units() { _fleetctl_ask list-unit-files; }
_fleetctl_machines() { _fleetctl_ask list-machines; }
_fleetctl_targets() { _fleetctl_units; _fleetctl_machines; }
_fleetctl_nothing() { :; }
_fleetctl_files() { echo "$_fleetctl_wants_files"; }
_fleetctl_units_files() { _fleetctl_units; _fleetctl_files; }
_fleetctl_shells() { echo "bash zsh fish"; }
_fleetctl_commands() { echo ")",
                         Names(), R"("; }
_fleetctl_words() {
  local word command= prev= skip=
  for word in "${words[@]}"; do
    if [ -n "$skip" ]; then
      skip=
    else
      case $word in
        )",
                         TakeNext(), R"() skip=1 ;;
        -*) ;;
        *) [ -n "$command" ] || command=$word ;;
      esac
    fi
    prev=$word
  done
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
    Append(text, "    ", command.name, ":*) _fleetctl_", KindOf(command.arguments), " ;;\n");
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

void AppendFishFlag(std::string& text, const FlagSpec& flag, std::string_view command) {
  text += "complete -c fleetctl";
  if (!command.empty()) Append(text, " -n '__fish_seen_subcommand_from ", command, "'");
  Append(text, " -l ", flag.name);
  if (flag.letter != 0) Append(text, " -s ", flag.letter);
  if (!flag.value.empty() && !flag.optional) {
    const std::string words = ValueWords(flag, command);
    text += words == "_fleetctl_files" ? " -r -F" : Cat(" -x -a '(", words, ")'");
  }
  Append(text, " -d ", FishQuoted(flag.help), "\n");
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
  std::string text =
      "# fish completion of fleetctl: fleetctl completion fish | source\n"
      "function _fleetctl_units; command fleetctl list-unit-files -o name 2>/dev/null; end\n"
      "function _fleetctl_machines; command fleetctl list-machines -o name 2>/dev/null; end\n"
      "function _fleetctl_targets; _fleetctl_units; _fleetctl_machines; end\n"
      "function _fleetctl_nothing; end\n"
      "function _fleetctl_shells; printf '%s\\n' bash zsh fish; end\n";
  Append(text, "function _fleetctl_commands; string split ' ' '", Names(), "'; end\n",
         "complete -c fleetctl -f\n");
  for (const FlagSpec& flag : Shown(GlobalFlags())) AppendFishFlag(text, flag, "");
  for (const Command& command : Commands()) {
    Append(text, "complete -c fleetctl -n __fish_use_subcommand -a ", command.name, " -d ",
           FishQuoted(command.summary), "\n");
    for (const FlagSpec& flag : Shown(command.flags)) AppendFishFlag(text, flag, command.name);
    const std::string_view kind = KindOf(command.arguments);
    if (kind == "nothing") continue;
    const std::string seen =
        Cat("complete -c fleetctl -n '__fish_seen_subcommand_from ", command.name, "'");
    if (kind == "files" || kind == "units_files") Append(text, seen, " -F\n");
    if (kind != "files")
      Append(text, seen, " -a '(_fleetctl_", kind == "units_files" ? "units" : kind, ")'\n");
  }
  return text;
}

}  // namespace fleet::fleetctl
