"""`iii publish`: an event for everybody who subscribes to a topic (04 §13.1, §4.1)."""

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.parser import Parser, fail

_DESCRIPTION = """\
Publishes an event to a topic, for all functions that subscribe to it.

  TOPIC        name of the topic
  KEY=VALUE    a member of the event's data; VALUE is read as JSON if it is valid JSON, else as text"""
_EXAMPLES = f"""\
examples:
  iii publish order.created id=7 total=12.5
  iii publish order.created --json '{{"id": 7}}'
  iii publish order.created id=7 --durable

{ENVIRONMENT}

exit codes: 0 published, with or without subscribers; 1 the call failed, or the data is not valid, 2 wrong usage"""


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser("iii publish", _DESCRIPTION, "iii publish TOPIC [KEY=VALUE …] [options]", _EXAMPLES)
    parser.add_argument("topic", metavar="TOPIC", help="name of the topic")
    parser.add_argument("pairs", metavar="KEY=VALUE", nargs="*", help="members of the data")
    parser.add_argument(
        "--json", metavar="JSON", help="the data, any JSON value (default: {}); must be an object beside pairs"
    )
    parser.add_argument(
        "--durable", action="store_true", help="as a message that each `durable:subscriber` gets, even after a restart"
    )
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii publish …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)

    from iii.cli.engine_call import asked
    from iii.cli.payload import PayloadMistake, payload_of

    try:
        data = payload_of(options.pairs, options.json)
    except PayloadMistake as error:
        return fail(str(error))
    function_id = "iii::durable::publish" if options.durable else "publish"
    module = "iii-queue" if options.durable else "iii-pubsub"
    asked(address, "publish", function_id, {"topic": options.topic, "data": data}, module)
    return 0
