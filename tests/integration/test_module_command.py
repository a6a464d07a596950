"""MODULE: what applications ask when they want to know whether JSON documents are there."""
import redis

from harness.resp import ErrorReply


def test_json_is_listed_by_the_name_of_its_module(client, server):
    [module] = client.command("MODULE", "LIST")
    module = module if isinstance(module, dict) else dict(zip(module[::2], module[1::2]))
    assert module[b"name"] == b"ReJSON" and module[b"ver"] >= 20000
    assert redis.Redis(port=server.port, decode_responses=True).module_list()[0]["name"] == "ReJSON"


def test_nothing_can_be_loaded(client):
    assert isinstance(client.command("MODULE", "LOAD", "/x.so"), ErrorReply)
    assert client.command("MODULE", "HELP")[0].startswith(b"MODULE <subcommand>")
