#include "sched/reason.h"

#include <array>

namespace trainyard::sched {
namespace {

struct Entry {
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array<Entry, kReasons> kEntries{{
    {"Unsatisfiable", "No set of the configured nodes could ever hold it."},
    {"Deactivated", "A budget or a person has taken it out of scheduling."},
    {"Misconfigured", "Its specification names something that does not exist."},
    {"NoMatchingNodeClass", "Nodes exist, but its constraints exclude every one of them."},
    {"Suspended", "It is held, or its queue is stopped."},
    {"NoWorkerForQueue", "No node is ready."},
    {"AdmissionGated", "A gate outside the scheduler has not let it in."},
    {"DependencyNotMet", "It waits for other jobs to end."},
    {"Backoff", "A restart waits for its time."},
    {"LeaseRecovery", "Its last worker was lost and may still be running it."},
    {"GangIncomplete", "Members of the gang have not been submitted yet."},
    {"StartBarrier", "Its tasks were launched and have not all reported ready."},
    {"ExceedsMaxQuota", "It asks for more than its queue could ever use."},
    {"BorrowingLimitReached", "Its queue may not borrow more."},
    {"ExceedsFairShare", "Its queue has its share, and others come first."},
    {"WaitingForQuota", "Its queue's quota is used, or what it could borrow is."},
    {"TopologyPlacementFailed", "There is room, but not within one rack, switch or node as it asks."},
    {"WaitingForPreempted", "Its victims are leaving; their room is held for it."},
    {"WaitingForReservation", "It would delay a job that was promised the room, or has a promise of its own."},
    {"WaitingForResources", "Too little is free."},
    {"PendingEvaluation", "No pass has looked at it yet."},
}};

}  // namespace

std::string_view name_of(Reason reason) { return kEntries[static_cast<std::size_t>(reason) - 1].name; }
std::string_view meaning_of(Reason reason) { return kEntries[static_cast<std::size_t>(reason) - 1].meaning; }

}  // namespace trainyard::sched
