#include "runner/event_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>

#include "base/testing/fake_clock.h"

namespace trainyard::runner {
namespace {

/// Both ends of a pipe.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reader.reset(ends[0]);
    writer = ends[1];
  }
  /// Everything written so far; the writer must be closed or the pipe not empty.
  std::string drain() const {
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    std::string all;
    std::array<char, 65536> buffer{};
    for (ssize_t count = 0; (count = ::read(reader.get(), buffer.data(), buffer.size())) > 0;)
      all.append(buffer.data(), static_cast<std::size_t>(count));
    return all;
  }
  UniqueFd reader;
  int writer = -1;
};

std::vector<Document> lines_of(const std::string& text) {
  std::vector<Document> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    EXPECT_NE(end, std::string::npos) << "a torn line";
    if (end == std::string::npos) break;
    const Result<Document> line = parse_json(std::string_view(text).substr(begin, end - begin));
    EXPECT_TRUE(line.ok()) << text.substr(begin, end - begin);
    if (line.ok()) lines.push_back(*line);
    begin = end + 1;
  }
  return lines;
}

TEST(EventWriter, every_event_is_one_json_line) {
  const trainyard::testing::FakeClock clock;
  const Pipe pipe;
  EventWriter events(pipe.writer, clock);
  EXPECT_TRUE(events.open());
  events.metric("loss", 0.5, 10);
  events.progress(1, 2, "half \"way\"\n");
  events.ready("http://127.0.0.1:1");
  events.checkpoint(10, "/c/MANIFEST");
  events.artifact({.name = "model.onnx", .uri = "ty://models/a.onnx", .size = 5, .checksum = "xxh3:00"});
  events.result(Document::object({{"accuracy", 0.9}}));
  events.failure(invalid_argument("spec.range", "too large", "/config/epochs"));
  const std::vector<Document> lines = lines_of(pipe.drain());
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(to_json(lines[0]), R"({"event":"metric","key":"loss","value":0.5,"step":10,"time_us":1700000000000000})");
  EXPECT_EQ(lines[1]["message"], Document("half \"way\"\n"));
  EXPECT_EQ(lines[2]["url"], Document("http://127.0.0.1:1"));
  EXPECT_EQ(lines[3]["manifest"], Document("/c/MANIFEST"));
  EXPECT_EQ(lines[4]["uri"], Document("ty://models/a.onnx"));
  EXPECT_EQ(lines[5]["values"]["accuracy"], Document(0.9));
  EXPECT_EQ(lines[6]["values"]["error"]["id"], Document("spec.range"));
}

TEST(EventWriter, descriptor_that_is_not_open_takes_events_silently) {
  const trainyard::testing::FakeClock clock;
  EventWriter events(-1, clock);
  EXPECT_FALSE(events.open());
  events.metric("loss", 1, 1);
}

TEST(EventWriter, descriptor_of_something_else_is_left_alone) {
  const trainyard::testing::FakeClock clock;
  const UniqueFd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  {
    EventWriter events(directory.get(), clock);
    EXPECT_FALSE(events.open());
  }
  EXPECT_GE(::fcntl(directory.get(), F_GETFD), 0) << "it is still open";
}

TEST(EventWriter, children_do_not_inherit_the_descriptor) {
  const trainyard::testing::FakeClock clock;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const UniqueFd reader(ends[0]);
  EventWriter events(ends[1], clock);
  EXPECT_EQ(::fcntl(ends[1], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(EventWriter, reader_that_does_not_read_costs_metrics_and_not_time) {
  const SystemClock clock;
  const Pipe pipe;
  ASSERT_GT(::fcntl(pipe.writer, F_SETPIPE_SZ, 4096), 0);
  EventWriter events(pipe.writer, clock);
  const MonotonicPoint begin = clock.monotonic_now();
  for (int i = 0; i < 60; ++i) events.metric("loss", 0.25, i);
  EXPECT_LT(clock.monotonic_now() - begin, std::chrono::seconds(2));
  const std::string before = pipe.drain();
  events.metric("loss", 0.5, 1000);
  const std::vector<Document> lines = lines_of(before + pipe.drain());
  EXPECT_LT(lines.size(), 61u) << "some were dropped";
  EXPECT_EQ(lines.back()["step"], Document(1000)) << "and the next one is whole";
}

TEST(EventWriter, reader_that_went_away_is_no_failure) {
  ::signal(SIGPIPE, SIG_IGN);
  const trainyard::testing::FakeClock clock;
  Pipe pipe;
  EventWriter events(pipe.writer, clock);
  pipe.reader.reset();
  events.metric("loss", 1, 1);
  EXPECT_FALSE(events.open());
}

TEST(EventWriter, lines_of_several_threads_do_not_mix) {
  const SystemClock clock;
  const Pipe pipe;
  EventWriter events(pipe.writer, clock);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&events] {
        for (int i = 0; i < 100; ++i) events.metric("loss", 0.25, i);
      });
    }
  }
  EXPECT_EQ(lines_of(pipe.drain()).size(), 400u);
}

}  // namespace
}  // namespace trainyard::runner
