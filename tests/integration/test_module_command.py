"""MODULE: what applications ask when they want to know whether JSON documents are there."""
import pytest
import redis


def test_json_is_listed_by_the_name_of_its_module(client, server):
    [module] = client.command("MODULE", "LIST")
    module = module if isinstance(module, dict) else dict(zip(module[::2], module[1::2]))
    assert module[b"name"] == b"ReJSON" and module[b"ver"] >= 20000
    assert redis.Redis(port=server.port, decode_responses=True).module_list()[0]["name"] == "ReJSON"


def test_info_lists_it_too(client, server):
    [line] = [line for line in client.command("INFO").split(b"\r\n") if line.startswith(b"module:")]
    assert line.startswith(b"module:name=ReJSON,ver=20803,api=1,")
    [module] = redis.Redis(port=server.port).info("modules")["modules"]
    assert module["name"] == "ReJSON" and module["ver"] >= 20000


CHANGES = [["LOAD", "/x.so"], ["LOAD", "/x.so", "a"], ["LOADEX", "/x.so", "CONFIG", "a", "b", "ARGS", "c"],
           ["UNLOAD", "nosuch"]]


def test_nobody_may_load_unless_it_is_allowed(pair):
    """As elsewhere; and the words are checked before."""
    pair.same(*(["MODULE", *words] for words in CHANGES), "MODULE LOAD", "MODULE LOADEX", "MODULE UNLOAD",
              "MODULE UNLOAD a b", "MODULE NOSUCH", "COMMAND INFO module|load module|loadex module|unload")
    assert pair.server.command("MODULE", "HELP")[0].startswith(b"MODULE <subcommand>")


@pytest.mark.parametrize("setting", ["yes", "local"])
def test_nothing_can_be_loaded_in_words_that_clients_know(start_server, setting):
    server = start_server("--enable-module-command", setting)
    assert "has no effect" not in server.log()
    asked = redis.Redis(port=server.port)
    for words in CHANGES[:3]:
        with pytest.raises(redis.exceptions.ModuleError, match="Error loading the extension"):
            asked.execute_command("MODULE", *words)
    with pytest.raises(redis.exceptions.ModuleError, match="no such module with that name"):
        asked.module_unload("nosuch")
    with pytest.raises(redis.exceptions.ModuleError, match="exports one or more module-side data types"):
        asked.module_unload("ReJSON")
    assert asked.module_list()


def test_its_commands_are_found_by_its_name(client):
    names = client.command("COMMAND", "LIST", "FILTERBY", "MODULE", "ReJSON")
    assert len(names) > 20 and all(name.startswith(b"json.") for name in names)
    assert client.command("COMMAND", "LIST", "FILTERBY", "MODULE", "search") == []
    docs = client.command("COMMAND", "DOCS", "json.get", "get")
    docs = {name: dict(zip(of[::2], of[1::2])) if isinstance(of, list) else of
            for name, of in (docs.items() if isinstance(docs, dict) else zip(docs[::2], docs[1::2]))}
    assert docs[b"json.get"][b"group"] == b"module" and docs[b"json.get"][b"module"] == b"ReJSON"
    assert docs[b"get"][b"group"] == b"string" and b"module" not in docs[b"get"]
