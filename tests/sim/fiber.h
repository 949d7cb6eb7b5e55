#pragma once
#include <ucontext.h>

#include <functional>
#include <memory>
#include <vector>

namespace trainyard::sim_test {

/// Unwinds a fiber that is ended from outside, at the place where it waits.
struct FiberKilled {};

/// A thread of a simulated process, run cooperatively: it goes on only inside `resume`, so that code which blocks runs in one thread under
/// the fake clock. Code in it may throw; what leaves `body` is handed to whoever resumed it. Not while it unwinds may it suspend.
class Fiber {
 public:
  explicit Fiber(std::function<void()> body);
  /// Ends the body by FiberKilled if it still waits.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Runs the body until it suspends or ends. Not from inside a fiber. Throws what the body threw.
  void resume();
  bool ended() const { return ended_; }

  /// Gives control back to whoever resumed the fiber that calls this.
  static void suspend();

 private:
  using Stack = std::unique_ptr<char[]>;
  static void enter();
  static std::vector<Stack>& spare_stacks();
  void switch_in();
  void switch_out(bool for_good);

  std::function<void()> body_;
  Stack stack_;
  ucontext_t inside_{};
  ucontext_t outside_{};
  std::exception_ptr thrown_;
  bool started_ = false;
  bool ended_ = false;
  bool killed_ = false;
  // The address sanitizer has to be told of every switch.
  void* inside_fake_stack_ = nullptr;
  void* outside_fake_stack_ = nullptr;
  const void* outside_bottom_ = nullptr;
  std::size_t outside_size_ = 0;
  // And for the thread sanitizer.
  void* inside_thread_ = nullptr;
  void* outside_thread_ = nullptr;
};

}  // namespace trainyard::sim_test
