#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "store/job_ledger.h"

namespace trainyard::store {

// What every implementation of JobLedger does the same way (docs/formats/ledger.md).

/// CRC-32C over the fields of a record in their order. An integer is summed as 8 bytes little-endian, a text as its length and its bytes.
std::uint32_t checksum_of(const JobRecord& job);
std::uint32_t checksum_of(const EventRecord& event);
std::uint32_t checksum_of(const IdempotencyRecord& record);
/// Of a number that stands alone, such as the epoch.
std::uint32_t checksum_of(std::uint64_t number);

/// DATA_LOSS "ledger.corrupt"; `what` says which record.
Error corrupt_ledger(std::string what);
/// ABORTED "ledger.fenced".
Error fenced_ledger(std::uint64_t epoch);
/// NOT_FOUND "job.unknown".
Error unknown_ledger_job(JobId id);
/// FAILED_PRECONDITION "ledger.newer".
Error newer_ledger(std::int64_t version, std::int64_t known, const std::string& place);

/// Refuses events whose numbers do not go on from `last` one by one. Errors: INTERNAL "ledger.event_number".
Result<void> check_event_numbers(const LedgerBatch& batch, EventNumber last);
/// Refuses events that were read when one between two of them is missing. Errors: DATA_LOSS "ledger.corrupt".
Result<void> check_no_gap(const std::vector<EventRecord>& events);

/// The records without those that a later one of the same job replaces, in their order.
std::vector<const JobRecord*> newest_of_each_job(const std::vector<JobRecord>& jobs);
/// The same for idempotency keys.
std::vector<const IdempotencyRecord*> newest_of_each_key(const std::vector<IdempotencyRecord>& records);

}  // namespace trainyard::store
