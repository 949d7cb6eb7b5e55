#include "tests/sim/fiber.h"

#include <exception>
#include <utility>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#elif defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace trainyard::sim_test {
namespace {

constexpr std::size_t kStackSize = std::size_t{512} << 10;
Fiber* g_current = nullptr;  // The simulation has one thread.

void announce_switch([[maybe_unused]] void** fake_stack, [[maybe_unused]] const void* bottom, [[maybe_unused]] std::size_t size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(fake_stack, bottom, size);
#endif
}

void confirm_switch([[maybe_unused]] void* fake_stack, [[maybe_unused]] const void** bottom, [[maybe_unused]] std::size_t* size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, bottom, size);
#endif
}

#if defined(__SANITIZE_THREAD__)
void* make_thread() { return __tsan_create_fiber(0); }
void destroy_thread(void* thread) { __tsan_destroy_fiber(thread); }
void* present_thread() { return __tsan_get_current_fiber(); }
void announce_thread(void* thread) { __tsan_switch_to_fiber(thread, 0); }
#else
void* make_thread() { return nullptr; }
void destroy_thread(void*) {}
void* present_thread() { return nullptr; }
void announce_thread(void*) {}
#endif

}  // namespace

std::vector<Fiber::Stack>& Fiber::spare_stacks() {
  static std::vector<Stack> stacks;
  return stacks;
}

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {
  if (spare_stacks().empty()) spare_stacks().push_back(Stack(new char[kStackSize]));
  stack_ = std::move(spare_stacks().back());
  spare_stacks().pop_back();
  inside_thread_ = make_thread();
}

Fiber::~Fiber() {
  if (started_ && !ended_) {
    killed_ = true;
    switch_in();
  }
  spare_stacks().push_back(std::move(stack_));
  destroy_thread(inside_thread_);
}

void Fiber::resume() {
  CHECK(!ended_, "a fiber that has ended is not resumed");
  switch_in();
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

void Fiber::switch_in() {
  CHECK(g_current == nullptr, "fibers are resumed from outside only");
  g_current = this;
  announce_switch(&outside_fake_stack_, stack_.get(), kStackSize);
  if (!std::exchange(started_, true)) {
    ::getcontext(&inside_);
    inside_.uc_stack.ss_sp = stack_.get();
    inside_.uc_stack.ss_size = kStackSize;
    inside_.uc_link = nullptr;
    ::makecontext(&inside_, &Fiber::enter, 0);
  }
  outside_thread_ = present_thread();
  announce_thread(inside_thread_);
  ::swapcontext(&outside_, &inside_);
  confirm_switch(outside_fake_stack_, nullptr, nullptr);
}

void Fiber::enter() {
  Fiber* const self = g_current;
  confirm_switch(nullptr, &self->outside_bottom_, &self->outside_size_);
  try {
    self->body_();
  } catch (const FiberKilled&) {
    // Asked for.
  } catch (...) {
    self->thrown_ = std::current_exception();
  }
  self->body_ = nullptr;
  self->ended_ = true;
  self->switch_out(true);
}

void Fiber::switch_out(bool for_good) {
  g_current = nullptr;
  announce_switch(for_good ? nullptr : &inside_fake_stack_, outside_bottom_, outside_size_);
  announce_thread(outside_thread_);
  ::swapcontext(&inside_, &outside_);
  confirm_switch(inside_fake_stack_, &outside_bottom_, &outside_size_);
}

void Fiber::suspend() {
  Fiber* const self = g_current;
  CHECK(self != nullptr, "only a fiber can suspend");
  self->switch_out(false);
  if (self->killed_) throw FiberKilled{};
}

}  // namespace trainyard::sim_test
