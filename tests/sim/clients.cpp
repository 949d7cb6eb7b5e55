#include "tests/sim/clients.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jobs/dependencies.h"

namespace trainyard::sim_test {

using namespace std::chrono_literals;

Clients::Clients(World& world, SimServer& server, Settings settings) : world_(world), server_(server), settings_(settings) {
  clients_.resize(static_cast<std::size_t>(settings_.jobs));
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    clients_[i].key = fmt::format("key-{}", i);
    clients_[i].spec = draw_spec();
    clients_[i].endless = clients_[i].spec.job_class == "service";
    world_.after(world_.between(0s, settings_.arrival_max), [this, i] { submit(i); });
    if (world_.one_in(5)) {
      world_.after(world_.between(0s, settings_.arrival_max * 2), [this, i] {
        clients_[i].wants_cancel = true;
        cancel(i);
      });
    }
    plan_changes(i);
  }
}

void Clients::plan_changes(std::size_t index) {
  Client& client = clients_[index];
  const auto some_time = [this] { return world_.between(0s, settings_.arrival_max * 2); };
  if (index > 0 && world_.one_in(4)) client.waits_for = world_.rng.below(index);
  client.wants_release = client.spec.hold;
  if (!client.spec.hold && world_.one_in(5)) {
    world_.after(some_time(), [this, index] {
      if (!world_.faults) return;
      clients_[index].wants_hold = clients_[index].wants_release = true;
      hold(index);
    });
  }
  if (client.spec.hold) world_.after(some_time(), [this, index] { release(index); });
  if (world_.one_in(5)) {
    world_.after(some_time(), [this, index, priority = world_.number(-3, 3)] {
      clients_[index].priority = priority;
      set_priority(index);
    });
  }
  if (world_.one_in(5)) world_.after(some_time(), [this, index] { preempt(index); });
}

JobSpec Clients::draw_spec() {
  JobSpec spec;
  spec.command = {"work"};
  spec.name = "work";
  spec.tasks = world_.number(1, settings_.tasks_max);
  spec.resources.cpu.milli = 1000 * world_.number(1, settings_.cores_max);
  spec.resources.memory.bytes = 1 << 20;
  spec.retry.user = world_.number(0, 2);
  spec.retry.node_lost = 1000;
  spec.retry.backoff_cap = 5s;
  spec.limits.grace = world_.between(100ms, 5s);
  if (world_.one_in(8)) spec.limits.queue = world_.between(1s, 60s);
  if (world_.one_in(8)) spec.limits.attempt = world_.between(1s, 20s);
  if (world_.one_in(8)) spec.limits.total = world_.between(5s, 60s);
  if (world_.one_in(8)) spec.limits.no_progress = world_.between(2s, 20s);
  if (world_.one_in(10)) spec.job_class = "service";
  if (world_.one_in(7)) spec.array = JobArray{.count = world_.number(2, 6), .max_running = world_.number(0, 3)};
  if (world_.one_in(10)) spec.hold = true;
  spec.priority = world_.number(-1, 1);
  return spec;
}

void Clients::send(SimServer::Request request) {
  if (world_.fault_one_in(30)) return;
  world_.after(world_.between(100us, 10ms), [this, request = std::move(request)] { (void)server_.request(request); });
}

void Clients::receive(std::function<void()> task) {
  if (world_.fault_one_in(30)) return;
  world_.after(world_.between(100us, 10ms), std::move(task));
}

/// False as long as the job that this one waits for is not known.
bool Clients::know_dependency(std::size_t index) {
  Client& client = clients_[index];
  if (!client.waits_for) return true;
  const Client& awaited = clients_[*client.waits_for];
  if (!awaited.job.valid() && !awaited.refused) return false;
  if (awaited.job.valid()) {
    const std::string when = world_.one_in(2) ? "any" : world_.one_in(3) ? "failed" : "ok";
    client.spec.after = {{static_cast<std::int64_t>(awaited.job.value), when}};
  }
  client.waits_for.reset();
  return true;
}

void Clients::submit(std::size_t index) {
  Client& client = clients_[index];
  if (client.job.valid() || client.refused) return;
  if (!know_dependency(index)) return world_.after(world_.between(1s, 4s), [this, index] { submit(index); });
  send([this, index](const ServerParts& parts) {
    const Client& asking = clients_[index];
    jobs::Submission submission;
    submission.spec = asking.spec;
    std::vector<JobId> awaited;
    for (const JobDependency& dependency : asking.spec.after) awaited.push_back(JobId(static_cast<std::uint64_t>(dependency.job)));
    submission.ended_dependencies = jobs::ended_states(parts.ledger, awaited).value();
    submission.idempotency_key = asking.key;
    submission.fingerprint = asking.key;
    parts.jobs.submit(std::move(submission), [this, index](const Result<JobId>& job) {
      server_.reply([this, index, job] {
        // What left the server counts, whether or not it arrives.
        if (job.ok()) world_.history.tell(SubmitAcknowledged{clients_[index].key, *job});
        receive([this, index, job] { submitted(index, job); });
      });
    });
  });
  world_.after(world_.between(1s, 4s), [this, index] { submit(index); });
}

void Clients::submitted(std::size_t index, const Result<JobId>& job) {
  Client& client = clients_[index];
  if (client.job.valid() || client.refused) return;
  if (!job.ok()) {
    // Few nodes may be known right after a restart; for good it is only while all are there.
    client.refused = !world_.faults;
    return;
  }
  client.job = *job;
  ++acknowledged_;
  read(index, 4);
  if (client.wants_cancel) cancel(index);
}

void Clients::cancel(std::size_t index) {
  const Client& client = clients_[index];
  if (client.cancelled || !client.job.valid()) return;
  send([this, index](const ServerParts& parts) {
    parts.jobs.stop(clients_[index].job, StopIntent::kCancel, "asked by a client", [this, index](const Result<void>& stopped) {
      if (!stopped.ok()) world_.history.tell(Broken{"an acknowledged job is unknown: " + stopped.error().describe()});
      server_.reply([this, index] {
        world_.history.tell(CancelAcknowledged{clients_[index].job});
        receive([this, index] { clients_[index].cancelled = true; });
      });
    });
  });
  world_.after(world_.between(1s, 4s), [this, index] { cancel(index); });
}

void Clients::hold(std::size_t index) {
  const Client& client = clients_[index];
  if (client.held || !client.wants_hold) return;
  if (client.job.valid()) {
    send([this, index](const ServerParts& parts) {
      parts.jobs.hold(clients_[index].job, "a client", [this, index](const Result<void>& held) {
        server_.reply([this, index, held] {
          if (held.ok()) world_.history.tell(HoldAcknowledged{clients_[index].job});
          receive([this, index] {
            if (std::exchange(clients_[index].held, true)) return;
            world_.after(world_.between(1s, 40s), [this, index] { release(index); });
          });
        });
      });
    });
  }
  world_.after(world_.between(1s, 4s), [this, index] { hold(index); });
}

void Clients::release(std::size_t index) {
  const Client& client = clients_[index];
  if (client.released || !client.wants_release) return;
  if (client.job.valid()) {
    send([this, index](const ServerParts& parts) {
      parts.jobs.release(clients_[index].job, "a client", [this, index](const Result<void>& released) {
        if (!released.ok() && released.error().id != "job.ended") return;
        server_.reply([this, index] { receive([this, index] { clients_[index].released = true; }); });
      });
    });
  }
  world_.after(world_.between(1s, 4s), [this, index] { release(index); });
}

void Clients::set_priority(std::size_t index) {
  const Client& client = clients_[index];
  if (!client.priority) return;
  if (client.job.valid()) {
    send([this, index, priority = *client.priority](const ServerParts& parts) {
      parts.jobs.set_priority(clients_[index].job, priority, "a client", [this, index, priority](const Result<void>& done) {
        server_.reply([this, index, priority, done] {
          if (done.ok()) world_.history.tell(PriorityAcknowledged{clients_[index].job, priority});
          receive([this, index] { clients_[index].priority.reset(); });
        });
      });
    });
  }
  world_.after(world_.between(1s, 4s), [this, index] { set_priority(index); });
}

void Clients::preempt(std::size_t index) {
  if (!clients_[index].job.valid()) return;
  send([this, index](const ServerParts& parts) {
    parts.jobs.preempt(clients_[index].job, "asked by a client", [](const Result<void>&) {});
  });
}

void Clients::read(std::size_t index, int times) {
  if (times == 0) return;
  send([this, index](const ServerParts& parts) {
    parts.jobs.get(clients_[index].job, [this](const Result<jobs::Job>& job) {
      if (!job.ok()) return;
      server_.reply([this, job] { world_.history.tell(JobShown{*job}); });
    });
  });
  world_.after(world_.between(10ms, 20s), [this, index, times] { read(index, times - 1); });
}

void Clients::heal() {
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    clients_[i].wants_hold = false;
    // After every hold that is still on its way.
    world_.after(5s, [this, i] { release(i); });
    if (!clients_[i].endless && !clients_[i].wants_cancel) continue;
    clients_[i].wants_cancel = true;
    cancel(i);
  }
}

bool Clients::all_answered() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const Client& client) {
    return client.refused ||
           (client.job.valid() && (client.cancelled || !client.wants_cancel) && (client.released || !client.wants_release));
  });
}

}  // namespace trainyard::sim_test
