#pragma once
#include <memory>
#include <string>

#include "store/log_store.h"

namespace trainyard::adapters::localfs {

/// Opens the log store in directory `root`, which is made when it is absent: the output of a rank is the files root/JOB/ATTEMPT/RANK.NNN of
/// at most 8 MiB of records each (docs/formats/log-segment.md). One process uses a root at a time. A stream that a crash cut short is cut
/// back to its last whole record when it is first used. A sync that failed ends all later writes to its stream. Failpoint:
/// "log.after_append_before_sync".
Result<std::unique_ptr<store::LogStore>> make_local_log_store(const std::string& root);

}  // namespace trainyard::adapters::localfs
