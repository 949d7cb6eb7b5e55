#include "tests/sim/clients.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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
  }
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

void Clients::submit(std::size_t index) {
  Client& client = clients_[index];
  if (client.job.valid() || client.refused) return;
  send([this, index](const ServerParts& parts) {
    const Client& asking = clients_[index];
    jobs::Submission submission;
    submission.spec = asking.spec;
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
    if (!clients_[i].endless && !clients_[i].wants_cancel) continue;
    clients_[i].wants_cancel = true;
    cancel(i);
  }
}

bool Clients::all_answered() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const Client& client) {
    return client.refused || (client.job.valid() && (client.cancelled || !client.wants_cancel));
  });
}

}  // namespace trainyard::sim_test
