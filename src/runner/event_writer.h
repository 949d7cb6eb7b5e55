#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/document.h"
#include "base/file.h"
#include "base/time.h"

namespace trainyard::runner {

/// A file that the job made and that others may fetch.
struct ArtifactEvent {
  std::string name;  ///< "model.onnx".
  std::string uri;   ///< "ty://models/...".
  std::uint64_t size = 0;
  std::string checksum;  ///< "xxh3:" and 32 hex digits.
};

/// Tells the agent what happens in this rank: one JSON object a line on file descriptor 3, one write(2) a line. Thread-safe. A metric or a
/// progress report that the reader does not take within a quarter of a second is dropped, and those after it at once until the reader moves
/// again, since training must not wait for it; all other events wait up to 10 s. Losing an event never makes a result wrong: manifests and
/// published versions decide. When nobody opened the descriptor, events go nowhere.
class EventWriter {
 public:
  static constexpr int kEventDescriptor = 3;

  /// Takes `fd` over if it is a pipe, a socket or a file, and keeps it from child processes. To be called before the program opens any
  /// other file, or descriptor 3 may be something else.
  EventWriter(int fd, const Clock& clock);
  /// An ended writer drops everything.
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  bool open() const;

  void metric(std::string_view key, double value, std::int64_t step);
  /// Doubles as the heartbeat of a rank: at least every few seconds.
  void progress(std::int64_t done, std::int64_t total, std::string_view message);
  /// The service answers at `url`.
  void ready(std::string_view url);
  /// Only once the manifest is durable.
  void checkpoint(std::int64_t step, std::string_view manifest);
  void artifact(const ArtifactEvent& artifact);
  /// The figures of the step, an object. The last one counts.
  void result(const Document& values);
  /// The result of a program that fails: {"error": {"id", "message", "where"}}.
  void failure(const Error& error);

 private:
  struct State;
  void send(const Document& event, Duration patience);

  std::unique_ptr<State> state_;
};

}  // namespace trainyard::runner
