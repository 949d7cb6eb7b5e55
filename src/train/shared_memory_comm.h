#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/time.h"
#include "train/comm.h"

namespace trainyard::train {

struct SharedMemorySettings {
  std::string name;  ///< Of the segment, equal on all ranks and only there; letters, digits, '.', '_', '-'.
  std::uint32_t rank = 0;
  std::uint32_t world_size = 1;
  std::size_t floats_max = 0;  ///< The longest `sums` of one call.
  Duration rendezvous_timeout{60'000'000};
  Duration collective_timeout{120'000'000};  ///< How long one rank may come later than the others.
  std::string directory = "/dev/shm";        ///< A memory file system of this host.
  std::function<bool()> give_up;             ///< May be empty; asked while the ranks wait for each other to start.
};

/// A segment name that no other gang of this host has: it holds the job, the attempt and a hash of `place`, a path that only this
/// installation uses for the job (the checkpoint directory or the working directory).
std::string shared_memory_name(std::string_view place, std::string_view job, std::uint32_t attempt);

/// Ranks of one host over one memory file. Rank 0 makes the file, the others map it and sign in, and when all have, rank 0 removes the
/// name: the memory lives as long as a rank does, and nothing is left behind. A collective is: write your part, barrier, reduce your slice
/// over all ranks in rank order, barrier, read the result. A barrier spins briefly and then waits on a futex; while it waits it looks at
/// the peers' pidfds, so that a killed peer becomes an error within some 20 ms instead of a hang. An object that is destroyed, or failed,
/// makes its peers fail their next call.
/// Errors of make: DEADLINE_EXCEEDED "comm.rendezvous", CANCELLED "comm.given_up", RESOURCE_EXHAUSTED when the memory does not suffice,
/// those of open and mmap.
Result<std::unique_ptr<Comm>> make_shared_memory_comm(const SharedMemorySettings& settings, const Clock& clock);

}  // namespace trainyard::train
