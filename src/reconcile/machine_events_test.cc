#include "reconcile/machine_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/simulation.h"

namespace fleet::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A registry, and what is told of it from its beginning.
class Watched : public SimulatedRegistry {
 public:
  Watched() { events_.Apply(ReadAnew()); }

  std::vector<EventEntry> Take() {
    events_.Apply(TakeChange());
    return events_.Take();
  }
  // "machine-joined m1", of what has been told since the last call.
  std::vector<std::string> Told() { return Words(Take()); }
  std::vector<std::string> ToldOf(const ViewChange& change) {
    events_.Apply(change);
    return Words(events_.Take());
  }
  static std::vector<std::string> Words(const std::vector<EventEntry>& events) {
    std::vector<std::string> words;
    for (const EventEntry& event : events) {
      EXPECT_THAT(event.unit, IsEmpty());
      EXPECT_FALSE(event.reason.empty()) << event.kind;
      words.push_back(event.kind + " " + event.machine);
    }
    return words;
  }

  void Assign(const std::string& unit, const std::string& machine,
              AssignmentState state = AssignmentState::kLaunched) {
    Commit({.units = {unit},
            .writes = {PutAssignment{
                unit, machine, {.uid = "uid", .generation = revision_, .state = state}}}});
  }
  void MakeUnreadable(const std::string& key) { view_.unreadable.Set(key, ++revision_); }

 private:
  MachineEvents events_;
};

// Two machines; m1 runs two units.
void Fill(Watched& registry) {
  registry.PutMachine("m1", {});
  registry.PutMachine("m2", {});
  registry.Assign("a.service", "m1");
  registry.Assign("b.service", "m1");
  registry.RunAgents();
  registry.Take();
}

MachineSettings Drained(absl::Time deadline = absl::InfiniteFuture(), bool forces = false) {
  MachineSettings settings;
  settings.Drain(deadline, forces);
  return settings;
}

TEST(MachineEvents, SayThatAMachineComesAndGoesAndHow) {
  Watched registry;
  registry.PutMachine("m1", {});
  registry.PutMachine("m2", {});
  EXPECT_THAT(registry.Told(), ElementsAre("machine-joined m1", "machine-joined m2"));
  registry.PutMachine("m1", {.leaving = true});
  EXPECT_THAT(registry.Told(), IsEmpty());
  registry.LoseMachine("m1");
  EXPECT_THAT(registry.Told(), ElementsAre("machine-left m1"));
  registry.LoseMachine("m2");
  EXPECT_THAT(registry.Told(), ElementsAre("machine-lost m2"));
  EXPECT_THAT(registry.Told(), IsEmpty());
}

TEST(MachineEvents, SayThatAMachineWasLostThatIsBackInTheNextView) {
  Watched registry;
  registry.PutMachine("m1", {});
  registry.Take();
  registry.LoseMachine("m1");
  registry.PutMachine("m1", {});
  EXPECT_THAT(registry.Told(), ElementsAre("machine-lost m1", "machine-joined m1"));
}

TEST(MachineEvents, SayThatAMachineHasBootedAgainBeforeItWasLost) {
  Watched registry;
  registry.PutMachine("m1", {.boot_id = "first"});
  registry.Take();
  registry.PutMachine("m1", {.metadata = {{"disk", "ssd"}}, .boot_id = "first"});
  EXPECT_THAT(registry.Told(), IsEmpty());
  registry.PutMachine("m1", {.boot_id = "second"});
  const auto events = registry.Take();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_THAT(events[0].reason, HasSubstr("booted again"));
}

TEST(MachineEvents, SayNothingOfWhatWasSoBeforeTheFirstView) {
  Watched registry;
  Fill(registry);
  registry.PutSettings("m1", {.cordoned = true});
  registry.PutSettings("m2", Drained());
  MachineEvents restarted;
  restarted.Apply(registry.ReadAnew());
  EXPECT_THAT(restarted.Take(), IsEmpty());
}

TEST(MachineEvents, SayWhatHasHappenedInAGapOfTheWatch) {
  Watched registry;
  Fill(registry);
  registry.LoseMachine("m1");
  registry.PutMachine("m3", {});
  registry.PutSettings("m2", {.cordoned = true});
  EXPECT_THAT(registry.ToldOf(registry.ReadAnew()),
              ElementsAre("machine-lost m1", "cordoned m2", "machine-joined m3"));
}

TEST(MachineEvents, SayNothingOfHowARestoredRegistryDiffers) {
  Watched registry;
  Fill(registry);
  registry.LoseMachine("m1");
  registry.PutSettings("m2", {.cordoned = true});
  ViewChange change = registry.ReadAnew();
  change.other_history = true;
  EXPECT_THAT(registry.ToldOf(change), IsEmpty());
}

TEST(MachineEvents, SayNothingOfARecordThatCannotBeRead) {
  Watched registry;
  registry.PutMachine("m2", {});
  registry.MakeUnreadable("machines/m1");
  registry.MakeUnreadable("settings/m2");
  registry.Take();
  registry.PutMachine("m1", {});
  registry.PutSettings("m2", {.cordoned = true});
  EXPECT_THAT(registry.Told(), IsEmpty());
}

TEST(MachineEvents, SayThatAMachineIsClosedAndOpened) {
  Watched registry;
  MachineSettings settings = {.set_metadata = {{"disk", "ssd"}}};
  registry.PutSettings("m1", settings);
  EXPECT_THAT(registry.Told(), IsEmpty());
  settings.cordoned = true;
  registry.PutSettings("m1", settings);
  EXPECT_THAT(registry.Told(), ElementsAre("cordoned m1"));
  settings.set_metadata.clear();
  registry.PutSettings("m1", settings);
  EXPECT_THAT(registry.Told(), IsEmpty());
  settings.Open();
  registry.PutSettings("m1", settings);
  EXPECT_THAT(registry.Told(), ElementsAre("uncordoned m1"));
}

TEST(MachineEvents, SayThatADrainIsDoneOnceNothingIsLeft) {
  Watched registry;
  Fill(registry);
  registry.PutSettings("m1", Drained());
  EXPECT_THAT(registry.Told(), ElementsAre("draining m1"));
  registry.Assign("a.service", "m1", AssignmentState::kGone);
  registry.Assign("b.service", "m1", AssignmentState::kGone);
  EXPECT_THAT(registry.Told(), IsEmpty());  // they have been told to leave
  registry.PutState("m1", "found.service", {.uid = "other"});
  registry.RunAgents();
  EXPECT_THAT(registry.Told(), IsEmpty());  // it runs, and is not assigned
  registry.PutState("m1", "found.service", {.uid = "other", .gone = true});
  EXPECT_THAT(registry.Told(), ElementsAre("drained m1"));
  registry.PutState("m1", "found.service", {.uid = "other"});
  registry.PutState("m1", "found.service", {.uid = "other", .gone = true});
  EXPECT_THAT(registry.Told(), IsEmpty());
  EXPECT_THAT(registry.ToldOf(registry.ReadAnew()), IsEmpty());
  MachineSettings opened = Drained();
  opened.Open();
  registry.PutSettings("m1", opened);
  EXPECT_THAT(registry.Told(), ElementsAre("uncordoned m1"));
}

TEST(MachineEvents, DoNotCallADrainDoneWhileSomethingIsAssignedThatNobodyHasReported) {
  Watched registry;
  registry.PutMachine("m1", {});
  registry.Assign("a.service", "m1");
  registry.Take();
  registry.PutSettings("m1", Drained());
  EXPECT_THAT(registry.Told(), ElementsAre("draining m1"));
  registry.Assign("a.service", "m1", AssignmentState::kGone);
  EXPECT_THAT(registry.Told(), IsEmpty());
  registry.RunAgents();
  EXPECT_THAT(registry.Told(), ElementsAre("drained m1"));
}

TEST(MachineEvents, DoNotCallADrainDoneThatWasCalledOff) {
  Watched registry;
  Fill(registry);
  registry.PutSettings("m1", Drained());
  registry.Take();
  registry.PutSettings("m1", {});
  registry.Assign("a.service", "m1", AssignmentState::kGone);
  registry.Assign("b.service", "m1", AssignmentState::kGone);
  registry.RunAgents();
  EXPECT_THAT(registry.Told(), ElementsAre("uncordoned m1"));
}

TEST(MachineEvents, SayThatADrainIsDoneInAGapOfTheWatch) {
  Watched registry;
  Fill(registry);
  registry.PutSettings("m1", Drained());
  registry.Take();
  registry.Assign("a.service", "m1", AssignmentState::kGone);
  registry.RunAgents();
  EXPECT_THAT(registry.ToldOf(registry.ReadAnew()), IsEmpty());
  registry.Assign("b.service", "m1", AssignmentState::kGone);
  registry.RunAgents();
  EXPECT_THAT(registry.ToldOf(registry.ReadAnew()), ElementsAre("drained m1"));
}

TEST(MachineEvents, SayThatADrainIsDoneAtOnceOnAnEmptyMachine) {
  Watched registry;
  Fill(registry);
  registry.PutSettings("m2", Drained());
  EXPECT_THAT(registry.Told(), ElementsAre("draining m2", "drained m2"));
  // Another deadline is another drain.
  registry.PutSettings("m2", Drained(absl::UnixEpoch() + absl::Hours(1)));
  EXPECT_THAT(registry.Told(), ElementsAre("draining m2", "drained m2"));
}

TEST(MachineEvents, SayByWhenADrainEndsAndWhatBecomesOfTheRest) {
  Watched registry;
  Fill(registry);
  const absl::Time deadline = absl::UnixEpoch() + absl::Hours(1);
  registry.PutSettings("m1", Drained(deadline));
  EXPECT_THAT(registry.Take()[0].reason, HasSubstr("by 1970-01-01T01:00:00+00:00"));
  registry.PutSettings("m1", Drained(deadline, /*forces=*/true));
  EXPECT_THAT(registry.Take()[0].reason, HasSubstr("what is left is stopped"));
}

TEST(MachineEvents, DoNotCallADrainDoneThatHasExpired) {
  Watched registry;
  Fill(registry);
  MachineSettings settings = Drained(absl::UnixEpoch());
  registry.PutSettings("m1", settings);
  registry.Take();
  settings.drain_expired = true;
  registry.PutSettings("m1", settings);
  registry.Assign("a.service", "m1", AssignmentState::kGone);
  registry.Assign("b.service", "m1", AssignmentState::kGone);
  registry.RunAgents();
  EXPECT_THAT(registry.Told(), IsEmpty());
  settings.drain_expired = false;
  registry.PutSettings("m1", settings);  // drained again
  EXPECT_THAT(registry.Told(), ElementsAre("draining m1", "drained m1"));
}

TEST(MachineEvents, SayThatADrainIsDoneThatHadBegunBeforeTheFirstView) {
  Watched registry;
  Fill(registry);
  registry.PutSettings("m1", Drained());
  registry.PutSettings("m2", Drained());
  MachineEvents later;
  later.Apply(registry.ReadAnew());
  registry.Assign("a.service", "m1", AssignmentState::kGone);
  registry.Assign("b.service", "m1", AssignmentState::kGone);
  registry.RunAgents();
  later.Apply(registry.TakeChange());
  EXPECT_THAT(Watched::Words(later.Take()), ElementsAre("drained m1"));
}

TEST(MachineEvents, SayWhatASlotToRebootDoesToAMachine) {
  Watched registry;
  Fill(registry);
  MachineSettings settings = {.lock_group = "web"};
  registry.PutSettings("m2", settings);
  EXPECT_THAT(registry.Told(), IsEmpty());
  settings.lock_granted = true;
  registry.PutSettings("m2", settings);
  const auto events = registry.Take();
  EXPECT_THAT(Watched::Words(events), ElementsAre("draining m2", "drained m2"));
  for (const EventEntry& event : events) {
    EXPECT_THAT(event.reason, HasSubstr("in the group web (FleetLock)"));
  }
  registry.PutSettings("m2", {});
  EXPECT_THAT(registry.Told(), ElementsAre("returned m2"));
  registry.PutSettings("m2", {.lock_group = "web"});
  registry.Take();
  registry.PutSettings("m2", {});
  EXPECT_THAT(registry.Told(), IsEmpty());  // it had none
}

}  // namespace
}  // namespace fleet::reconcile
