#include "runner/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"

namespace trainyard::runner {
namespace {

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override { directory_ = make_temporary_directory("trainyard-program-").value(); }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_).ok()); }

  /// Runs a program in a process of its own; its events and its stderr become files.
  int run(const std::string& spec, const JobFunction& job) {
    EXPECT_TRUE(write_file_atomically(directory_ + "/spec.json", spec).ok());
    const pid_t child = ::fork();
    if (child == 0) {
      ::setenv("TRAINYARD_SPEC", (directory_ + "/spec.json").c_str(), 1);
      ::setenv("TRAINYARD_WORKDIR", directory_.c_str(), 1);
      const int errors = ::open((directory_ + "/stderr").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      const int events = ::open((directory_ + "/events").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ::dup2(errors, STDERR_FILENO);
      ::dup2(events, EventWriter::kEventDescriptor);
      ::_exit(run_program("trainyard-test", job));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string text_of(const std::string& name) const { return read_file(directory_ + "/" + name).value(); }

  std::string directory_;
};

TEST_F(ProgramTest, exit_code_of_the_job_is_the_programs) {
  const int code = run(R"({"job_id":"5","kind":"test"})", [](JobContext& context) -> Result<ExitCode> {
    context.events.progress(1, 1, context.spec.kind);
    return ExitCode::kStoppedOnRequest;
  });
  EXPECT_EQ(code, 75);
  EXPECT_EQ(text_of("events"), "{\"event\":\"progress\",\"done\":1,\"total\":1,\"message\":\"test\"}\n");
}

TEST_F(ProgramTest, failure_becomes_a_line_an_event_and_a_code) {
  const int code = run(R"({"job_id":"5","kind":"test"})",
                       [](JobContext&) -> Result<ExitCode> { return data_loss("data.pack", "the pack is damaged: x"); });
  EXPECT_EQ(code, 65);
  EXPECT_EQ(text_of("stderr"), "trainyard-test: data.pack: the pack is damaged: x\n");
  EXPECT_NE(text_of("events").find("\"id\":\"data.pack\""), std::string::npos);
}

TEST_F(ProgramTest, malformed_spec_is_a_bad_configuration) {
  EXPECT_EQ(run("{", [](JobContext&) -> Result<ExitCode> { return ExitCode::kDone; }), 64);
}

}  // namespace
}  // namespace trainyard::runner
