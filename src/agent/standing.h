#pragma once
#include <mutex>
#include <optional>

#include "base/result.h"
#include "base/time.h"

namespace trainyard::agent {

/// How a node stands with its server, told by how the server answers its syncs. A server that cannot be reached says nothing: it is waited
/// for. Thread-safe.
///
///   unknown --accepted--> serves <--accepted/refused--> refused
///      \--refused--> refused --patience--> over
class Standing {
 public:
  struct Settings {
    /// How long another agent may keep the name before this one gives up: longer than a lease. The same for a credential that was good.
    Duration patience{30'000'000};
    /// How long a token that was never good is tried: several processes of one installation learn of a new one within a second or two.
    Duration patience_with_strangers{5'000'000};
  };
  /// What is worth telling people.
  enum class News {
    kNone,
    kServes,   ///< The first answer.
    kRefused,  ///< The first answer was no; it is asked again.
    kOver,     ///< Refused for good, see `fatal`.
  };

  Standing(Settings settings, const Clock& clock) : settings_(settings), clock_(clock) {}

  News note_accepted();
  /// ABORTED "agent.replaced" and INVALID_ARGUMENT cannot heal; other errors may, for a while.
  News note_refused(const Error& error);
  std::optional<Error> fatal() const;

 private:
  Duration patience_with(const Error& error) const;

  const Settings settings_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::optional<MonotonicPoint> refused_since_;  // guarded by mutex_, like all below
  bool served_ = false;
  bool told_ = false;
  std::optional<Error> fatal_;
};

}  // namespace trainyard::agent
