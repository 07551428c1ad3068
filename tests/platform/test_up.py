"""`engage up`: one command runs the product, mends what dies, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys

import httpx
import psutil
import pytest
import redis

from engage import valkey
from engage.settings import load_settings
from tests.conftest import CHILDREN, until

HELLO = {
    "rules/hello.json": {"id": "hello", "trigger": "page", "message": "hello"},
    "messages/hello.json": {"id": "hello", "kind": "banner", "content": {"en": {"text": "Hello"}}},
}


@pytest.fixture(scope="module")
def running(module_service):
    return module_service()


def up(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGE_")}
    command = [sys.executable, "-m", "engage", "up", *arguments]
    return subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, timeout=60, check=False)


def test_it_prints_the_address_the_keys_and_the_snippet_once_it_is_ready(running):
    assert httpx.get(f"{running.url}/readyz").status_code == 200
    assert f"Engage is ready at {running.url}" in running.greeting
    assert running.write_key.startswith("wk_")
    assert running.secret_key.startswith("sk_")
    assert f"secret key   {running.secret_key}    (for servers; shown this once" in running.greeting
    assert f'["init",{{writeKey:"{running.write_key}",host:"{running.url}"}}]' in running.greeting
    assert f'<script async src="{running.url}/sdk/engage.js">' in running.greeting


def test_every_part_is_a_process_of_its_own_in_a_session_of_its_own(running):
    assert set(running.pids) == set(CHILDREN)
    sessions = {os.getsid(pid) for pid in running.pids.values()}
    assert len(sessions) == len(CHILDREN)
    assert os.getsid(running.process.pid) not in sessions


def test_a_second_one_on_the_same_data_is_refused_by_name(running, free_port):
    refused = up("--data", str(running.data_dir), "--port", str(free_port))
    assert refused.returncode == 2
    assert f"got a running engage, process {running.process.pid}" in refused.stderr
    assert "--data" in refused.stderr


def test_a_port_in_use_is_said_at_once_with_who_has_it(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        refused = up("--data", str(tmp_path / "data"), "--port", str(holder.getsockname()[1]))
    assert refused.returncode == 2
    assert "Expected a free port" in refused.stderr
    assert f"process {os.getpid()}" in refused.stderr
    assert "--port" in refused.stderr


def test_an_unwritable_data_folder_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    refused = up("--data", str(tmp_path / "file" / "data"))
    assert refused.returncode == 2
    assert "Expected a data folder that can be written" in refused.stderr


def test_a_store_that_cannot_start_ends_it_with_its_own_words(tmp_path, free_port):
    folder = tmp_path / "data" / "valkey-log" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("this is no manifest")
    failed = up("--data", str(tmp_path / "data"), "--port", str(free_port), ENGAGE_LOG_FORMAT="json")
    assert failed.returncode == 1
    assert "valkey-log did not start" in failed.stderr
    assert "valkey.log ends: " in failed.stderr


@pytest.mark.faults
@pytest.mark.parametrize("name", CHILDREN)
def test_a_killed_child_is_back_and_the_product_is_ready_again(running, name):
    before = running.kill(name)
    running.wait_restarted(name, before)
    running.wait_ready()
    assert f'"process": "{name}"' in running.log
    assert "killed by SIGKILL" in running.log


@pytest.mark.parametrize(
    ("name", "number"), [("with space", signal.SIGINT), ("データ", signal.SIGTERM), ("long" * 30, signal.SIGTERM)]
)
def test_any_data_folder_will_do_and_it_ends_all_it_started(service, tmp_path, name, number):
    one = service(data_dir=tmp_path / name)
    pids = one.pids
    assert set(pids) == set(CHILDREN)
    assert (tmp_path / name / "valkey-log" / "appendonlydir").is_dir()
    assert '"process": "work"' not in one.log, "RQ could not read the address of its server"
    assert one.stop(number) == 0
    assert not [pid for pid in pids.values() if psutil.pid_exists(pid)]
    assert "bye bye" in (tmp_path / name / "valkey-log" / "valkey.log").read_text()


def test_a_folder_without_definitions_is_named_with_the_right_one(service, write_documents):
    folder = write_documents({"rules/r.json": {"id": "r"}})
    assert (
        f"(watched, but it holds none of rules/, messages/, segments/, project/, articles/; did you mean {folder}?)"
        in service(rules=folder / "rules").greeting
    )
    assert "(watched, but it is not there yet)" in service(rules=folder / "later").greeting


def test_asked_twice_it_ends_at_once(service):
    one = service()
    os.kill(one.pids["serve"], signal.SIGSTOP)  # it will not end when asked
    one.process.send_signal(signal.SIGINT)
    until(lambda: "work" not in one.pids, what="it began to stop")
    one.process.send_signal(signal.SIGINT)
    assert one.stop(signal.SIGINT) == 0


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_killed_itself_it_leaves_nothing_and_the_next_one_starts(service):
    one = service()
    children = psutil.Process(one.process.pid).children(recursive=True)
    one.process.kill()
    one.process.wait()
    _, alive = psutil.wait_procs(children, 30)
    assert not alive
    keys = one.write_key, one.secret_key
    one.process.stdout.close()
    one.start()
    assert (one.write_key, one.secret_key) == keys
    assert one.secret_key not in one.greeting


def test_a_store_left_running_by_another_is_shut_down_first(service, tmp_path):
    settings = load_settings({"ENGAGE_DATA_DIR": str(tmp_path / "data")})
    valkey.prepare(settings, "log")
    leftover = subprocess.Popen(valkey.command(settings, "log"))
    until(lambda: valkey.is_ready(settings.redis_url), what="the leftover answers")
    one = service(data_dir=settings.data_dir)
    assert leftover.wait(30) == 0
    assert "a store was left running" in one.log


def test_stdout_is_the_greeting_alone(service, write_documents):
    one = service(rules=write_documents(HELLO))
    one.kill("serve")
    one.wait_ready()
    one.process.send_signal(signal.SIGTERM)
    assert one.process.stdout.read() == ""


def test_a_socket_folder_that_is_not_ours_alone_is_refused(tmp_path, free_port):
    (tmp_path / f"engage-{os.getuid()}").mkdir(mode=0o755)
    refused = up("--data", str(tmp_path / "a b"), "--port", str(free_port), TMPDIR=str(tmp_path))
    assert refused.returncode == 2
    assert "to be a folder of this user alone" in refused.stderr


def test_with_a_server_of_its_own_only_what_is_missing_is_embedded(service, empty_store, write_documents):
    one = service(rules=write_documents(HELLO), env={"ENGAGE_REDIS_URL": empty_store})
    assert set(one.pids) == {"serve", "decide", "work", "backtest"}
    with redis.Redis.from_url(empty_store) as client:
        assert client.get("{default}:rulebook") == b"1"


def test_a_server_that_is_away_is_waited_for_and_clients_are_told_to_wait(tmp_path, free_port, valkey_url):
    link = tmp_path / "store.sock"  # becomes the server's socket later
    environment = {**os.environ, "ENGAGE_REDIS_URL": f"unix://{link}", "ENGAGE_WRITE_KEY": "wk"}
    command = [sys.executable, "-m", "engage", "up", "--data", str(tmp_path / "data"), "--port", str(free_port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    url = f"http://127.0.0.1:{free_port}"

    def track():
        try:
            return httpx.post(f"{url}/v1/track", auth=("wk", ""), json={"event": "Tried", "userId": "u1"})
        except httpx.ConnectError:
            return None

    refused = until(track, what="the service answers")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    link.symlink_to(valkey_url.removeprefix("unix://"))
    until(lambda: track().status_code == 200, what="the store is found")
    assert any("is ready" in line for line in process.stdout)
    process.terminate()
    process.communicate(timeout=30)
