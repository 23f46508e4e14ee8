#include "fleetctl/action.h"

#include <algorithm>

#include "base/glob.h"
#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

std::string DoneLine(Session& session, const Action& action, const Outcome& outcome) {
  if (action.goal == Goal::kDestroyed) return Cat("Destroyed ", outcome.name);
  std::string line = Cat("Unit ", outcome.name, " ",
                         action.goal == Goal::kMoved ? outcome.desired : ToString(action.goal));
  if (action.goal != Goal::kInactive && !outcome.machine_id.empty())
    Append(line, " on ", session.LabelOf(outcome.machine_id));
  return line;
}

std::string Indented(const std::string& text) {
  std::string out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    Append(out, "  ", std::string_view(text).substr(begin, end - begin), "\n");
    begin = end + 1;
  }
  return out;
}

void PrintDelay(Session& session, const Delay& delay) {
  session.err() << "Notice: unit " << delay.name << " is waited for";
  if (!delay.machine_id.empty()) session.err() << " on " << session.LabelOf(delay.machine_id);
  session.err() << ": " << delay.reason << std::endl;
}

void PrintOutcome(Session& session, const Action& action, const Outcome& outcome,
                  Verdict& verdict) {
  using Kind = Outcome::Kind;
  const std::string& name = outcome.name;
  const std::string_view wanted = ToString(action.goal);
  switch (outcome.kind) {
    case Kind::kDone:
      session.out() << DoneLine(session, action, outcome) << std::endl;
      return;
    case Kind::kGlobal:
      session.out() << "Triggered global unit " << name << " " << action.verb << std::endl;
      return;
    case Kind::kFailed: {
      session.err() << "Error: unit " << name << " failed";
      if (!outcome.machine_id.empty())
        session.err() << " on " << session.LabelOf(outcome.machine_id);
      if (!outcome.reason.empty()) session.err() << ": " << outcome.reason;
      session.err() << "\n" << Indented(outcome.log_tail);
      verdict.Fail(name, kFailed);
      return;
    }
    case Kind::kWaiting:
      session.err() << "Error: unit " << name << " cannot be " << wanted << ": "
                    << (outcome.reason.empty() ? "no machine is eligible" : outcome.reason) << "\n";
      verdict.Fail(name, kNotEligible);
      return;
    case Kind::kVanished:
      session.err() << "Error: unit " << name << " was destroyed before it was " << wanted << "\n";
      verdict.Fail(name, kFailed);
      return;
    case Kind::kRedirected:
      session.err() << "Error: unit " << name << " was not waited for: meanwhile it is wanted "
                    << outcome.reason << "\n";
      verdict.Fail(name, kFailed);
      return;
    case Kind::kStayed:
      session.err() << "Error: unit " << name << " was not moved: it is on "
                    << session.LabelOf(outcome.machine_id) << "\n";
      verdict.Fail(name, kFailed);
      return;
    case Kind::kTimedOut:
      session.err() << "Error: timed out waiting for unit " << name << " to be " << wanted << ": "
                    << outcome.reason << "\n";
      verdict.Fail(name, kTimedOut);
      return;
  }
}

// Says below the refusal of a unit what would help.
class Remedies {
 public:
  explicit Remedies(Session& session) : session_(session) {}

  void Print(const std::string& name) {
    if (left_ == 0) return;
    const auto explained = session_.api().Explain(name, /*each_machine=*/false, /*patient=*/false);
    left_ = explained.ok() ? left_ - 1 : 0;  // an older fleetd, or one that is busy
    if (!explained.ok()) return;
    for (const client::Remedy& remedy : explained->remedies)
      session_.err() << "  " << remedy.change << "\n";
  }

 private:
  Session& session_;
  // The others wait for similar reasons, and everybody waits for the answers.
  int left_ = 5;
};

}  // namespace

int Verdict::code() const {
  for (const std::string& name : order_) {
    const auto it = codes_.find(name);
    if (it != codes_.end()) return it->second;
  }
  return codes_.empty() ? kDone : codes_.begin()->second;
}

absl::StatusOr<Sent> Send(Session& session, const Action& action, Verdict& verdict) {
  Sent sent;
  if (action.changes.empty()) return sent;
  ASSIGN_OR_RETURN(const client::BatchAnswer answer, session.api().Batch(action.changes));
  sent.revision = answer.revision;
  for (size_t i = 0; i < answer.results.size(); ++i) {
    const client::UnitChange& change = action.changes[i];
    const client::UnitResult& result = answer.results[i];
    if (result.code >= 300) {
      session.err() << "Error: cannot " << action.verb << " unit " << change.name << ": "
                    << (result.message.empty() ? Cat("HTTP ", result.code) : result.message)
                    << "\n";
      verdict.Fail(change.name, result.code == 404 ? kNotFound : kFailed);
      continue;
    }
    if (result.code == 201) sent.created.insert(change.name);
    sent.made.push_back(change.name);
    const auto path = action.paths.find(change.name);
    if (result.same && change.replace) {
      session.out() << "Found same Unit(" << change.name << ") in Registry, nothing to do\n";
    } else if (result.differs && !change.replace && path != action.paths.end()) {
      session.err() << "WARNING: Unit " << change.name
                    << " in registry differs from local unit file " << path->second
                    << ". Add --replace to override.\n";
    }
  }
  session.out().flush();
  return sent;
}

absl::Status Await(Session& session, const Action& action, const Sent& sent, Verdict& verdict) {
  if (sent.made.empty()) return absl::OkStatus();
  const absl::Time deadline = client::MonotonicNow() + action.limits.timeout;
  Waiter waiter =
      action.goal == Goal::kMoved ? Waiter(action.moves) : Waiter(action.goal, sent.made);
  if (action.makes_units) waiter.ExpectMaking();
  Remedies remedies(session);
  const WaitCallbacks callbacks{
      .outcome =
          [&](const Outcome& outcome) {
            PrintOutcome(session, action, outcome, verdict);
            if (outcome.kind == Outcome::Kind::kWaiting) remedies.Print(outcome.name);
          },
      .delay = [&](const Delay& delay) { PrintDelay(session, delay); },
      .notice = [&](std::string_view text) { session.err() << "Notice: " << text << "\n"; }};
  return Wait(session.api(), sent.made, action.goal == Goal::kDestroyed, sent.revision, deadline,
              waiter, callbacks);
}

void PrintTriggered(Session& session, const Action& action, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (action.goal == Goal::kDestroyed) {
      session.out() << "Destroyed " << name << "\n";
    } else {
      session.out() << "Triggered " << (action.globals.contains(name) ? "global " : "") << "unit "
                    << name << " " << action.verb << "\n";
    }
  }
}

int Carry(Session& session, const Action& action, Verdict& verdict) {
  auto sent = Send(session, action, verdict);
  if (!sent.ok()) return session.Fail(sent.status());
  if (action.limits.block) {
    if (absl::Status status = Await(session, action, *sent, verdict); !status.ok())
      return session.Fail(status);
    return verdict.code();
  }
  PrintTriggered(session, action, sent->made);
  return verdict.code();
}

void ReportMissing(Session& session, const Selection& selection, Verdict& verdict) {
  for (const std::string& name : selection.missing) {
    verdict.Fail(name, session.Fail(NoSuchUnit(name)));
  }
}

std::vector<std::string> OrderOf(const std::vector<std::string>& words,
                                 const Selection& selection) {
  std::vector<std::string> order;
  for (const std::string& word : words) {
    const std::string name = NameFrom(word);
    order.push_back(name);
    if (!IsGlob(name)) continue;
    for (const client::Unit& unit : selection.units) {
      if (GlobMatches(name, unit.name)) order.push_back(unit.name);
    }
  }
  return order;
}

}  // namespace fleet::fleetctl
