#pragma once

namespace trainyard::apps {

/// Runs a tiny model forward, so that the kernels of the framework are chosen and loaded. Starts no thread; what it leaves of random state
/// is overwritten by the seed of a job. Not a step of training: a process whose parent has gone backward may not do so itself.
void warm_up_training();

}  // namespace trainyard::apps
