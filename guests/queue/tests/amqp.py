"""pika, the AMQP client of Python, against a broker at the port given as the first argument."""
import sys
import time

import pika
from pika import exceptions

PARAMETERS = pika.ConnectionParameters("127.0.0.1", int(sys.argv[1]), heartbeat=2, blocked_connection_timeout=20)


def connect():
    return pika.BlockingConnection(PARAMETERS)


def refused(code, action):
    """What `action` does to a channel of its own must close it with this code."""
    connection = connect()
    channel = connection.channel()
    try:
        action(channel)
        channel.queue_declare("", exclusive=True)
    except (exceptions.ChannelClosedByBroker, exceptions.ConnectionClosedByBroker) as error:
        assert error.reply_code == code, (code, error)
        if isinstance(error, exceptions.ChannelClosedByBroker):
            connection.close()
        return
    raise AssertionError(f"{code} did not come")


def hand_over():
    connection = connect()
    channel = connection.channel()
    channel.queue_declare("jobs", durable=True)
    channel.confirm_delivery()
    for n in range(10):
        properties = pika.BasicProperties(delivery_mode=2, headers={"n": n, "x": [1, "a", None, {"b": True}]})
        channel.basic_publish("", "jobs", b"task %d" % n, properties, mandatory=True)
    method, properties, body = channel.basic_get("jobs")
    assert (body, method.message_count, method.redelivered) == (b"task 0", 9, False)
    assert properties.headers == {"n": 0, "x": [1, "a", None, {"b": True}]}, properties.headers
    channel.basic_nack(method.delivery_tag, requeue=True)
    channel.basic_qos(prefetch_count=2)
    seen = []
    for method, _, body in channel.consume("jobs", inactivity_timeout=5):
        seen.append((body, method.redelivered))
        channel.basic_ack(method.delivery_tag)
        if len(seen) == 10:
            break
    assert seen[0] == (b"task 0", True) and seen[9] == (b"task 9", False), seen
    assert channel.cancel() == 0
    assert channel.queue_declare("jobs", passive=True).method.message_count == 0
    channel.queue_delete("jobs")
    connection.close()


def a_dead_consumer_gives_back():
    first, second = connect(), connect()
    a, b = first.channel(), second.channel()
    a.queue_declare("held")
    for n in range(4):
        a.basic_publish("", "held", b"%d" % n)
    b.basic_qos(prefetch_count=3)
    got = []
    b.basic_consume("held", lambda ch, method, properties, body: got.append(body))
    while len(got) < 3:
        second.process_data_events(0.1)
    assert got == [b"0", b"1", b"2"], got
    second.close()
    again = [a.basic_get("held", auto_ack=True) for _ in range(4)]
    assert [(m.redelivered, body) for m, _, body in again] == [
        (True, b"0"), (True, b"1"), (True, b"2"), (False, b"3")], again
    a.queue_delete("held")
    first.close()


def exchanges():
    connection = connect()
    channel = connection.channel()
    channel.exchange_declare("news", "topic")
    one = channel.queue_declare("", exclusive=True).method.queue
    two = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(one, "news", "sport.#")
    channel.queue_bind(two, "news", "*.local")
    for key in ["sport.ball", "sport.local", "war.local", "weather"]:
        channel.basic_publish("news", key, key.encode())
    take = lambda q: [channel.basic_get(q, auto_ack=True)[2] for _ in range(3)]
    assert take(one) == [b"sport.ball", b"sport.local", None]
    assert take(two) == [b"sport.local", b"war.local", None]
    channel.confirm_delivery()
    try:
        channel.basic_publish("news", "weather", b"", mandatory=True)
        raise AssertionError("nobody wants it")
    except exceptions.UnroutableError as error:
        assert error.messages[0].method.reply_code == 312
    channel.queue_unbind(one, "news", "sport.#")
    channel.exchange_delete("news")
    connection.close()


def dead_letters():
    connection = connect()
    channel = connection.channel()
    channel.exchange_declare("dlx", "fanout")
    channel.queue_declare("graves")
    channel.queue_bind("graves", "dlx", "")
    arguments = {"x-dead-letter-exchange": "dlx", "x-message-ttl": 300, "x-max-length": 2}
    channel.queue_declare("short", arguments=arguments)
    for n in range(3):
        channel.basic_publish("", "short", b"%d" % n)
    method, _, body = channel.basic_get("short")
    assert body == b"1", body
    channel.basic_reject(method.delivery_tag, requeue=False)
    begun = time.monotonic()
    graves = []
    for method, properties, body in channel.consume("graves", inactivity_timeout=5, auto_ack=True):
        assert method, "no dead letter came"
        death = properties.headers["x-death"][0]
        graves.append((body, death["reason"], death["count"], death["queue"]))
        if len(graves) == 3:
            break
    assert graves == [(b"0", "maxlen", 1, "short"), (b"1", "rejected", 1, "short"), (b"2", "expired", 1, "short")], graves
    assert 0.2 < time.monotonic() - begun < 2
    channel.cancel()
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": 2, "x-dead-letter-exchange": "dlx"}
    channel.queue_declare("stubborn", durable=True, arguments=arguments)
    channel.basic_publish("", "stubborn", b"poison")
    for tries in range(3):
        method, properties, _ = channel.basic_get("stubborn")
        assert tries == 0 or properties.headers["x-delivery-count"] == tries
        channel.basic_nack(method.delivery_tag)
    assert channel.basic_get("stubborn")[0] is None
    _, properties, body = channel.basic_get("graves", auto_ack=True)
    assert (body, properties.headers["x-death"][0]["reason"]) == (b"poison", "delivery_limit")
    for queue in ["graves", "short", "stubborn"]:
        channel.queue_delete(queue)
    connection.close()


def codes():
    refused(404, lambda c: c.queue_declare("nowhere", passive=True))
    refused(404, lambda c: c.basic_publish("nowhere", "x", b""))
    refused(403, lambda c: c.queue_declare("amq.mine"))
    refused(403, lambda c: c.exchange_delete("amq.direct"))
    refused(406, lambda c: c.basic_ack(7))
    refused(406, lambda c: c.basic_publish("", "x", b"", pika.BasicProperties(expiration="soon")))
    refused(406, lambda c: c.basic_publish("", "x", b"x" * 300_000))
    refused(503, lambda c: c.exchange_declare("e", "magic"))
    owner = connect()
    owner.channel().queue_declare("mine", exclusive=True)
    refused(405, lambda c: c.basic_get("mine"))
    channel = owner.channel()
    channel.queue_declare("plain")
    refused(406, lambda c: c.queue_declare("plain", durable=True))
    channel.basic_consume("plain", lambda *_: None, exclusive=True)
    refused(403, lambda c: c.basic_consume("plain", lambda *_: None))
    channel.queue_delete("plain")
    owner.close()
    for wrong in [pika.ConnectionParameters("127.0.0.1", PARAMETERS.port, "/other"),
                  pika.ConnectionParameters("127.0.0.1", PARAMETERS.port, "/", pika.PlainCredentials("guest", "no"))]:
        try:
            pika.BlockingConnection(wrong)
            raise AssertionError("this must not connect")
        except (exceptions.ProbableAccessDeniedError, exceptions.ProbableAuthenticationError,
                exceptions.ConnectionClosedByBroker):
            pass


def heartbeats():
    connection = connect()
    channel = connection.channel()
    begun = time.monotonic()
    while time.monotonic() - begun < 5:
        connection.process_data_events(0.5)
    channel.queue_declare("", exclusive=True)
    connection.close()


def back_pressure():
    """More than the broker may hold: it stops reading, and goes on when there is room."""
    publisher, consumer = connect(), connect()
    told = []
    publisher.add_on_connection_blocked_callback(lambda *_: told.append("blocked"))
    publisher.add_on_connection_unblocked_callback(lambda *_: told.append("unblocked"))
    channel, other = publisher.channel(), consumer.channel()
    channel.queue_declare("big")
    for n in range(8):
        channel.basic_publish("", "big", bytes(200_000))
    while not told:
        publisher.process_data_events(0.1)
    waiting = other.queue_declare("big", passive=True).method.message_count
    assert 1 <= waiting < 8, waiting
    got = 0
    while got < 8:
        method, _, body = other.basic_get("big", auto_ack=True)
        publisher.process_data_events(0)
        if method:
            assert len(body) == 200_000
            got += 1
    while told[-1] != "unblocked":
        publisher.process_data_events(0.1)
    other.queue_delete("big")
    publisher.close()
    consumer.close()


for test in [hand_over, a_dead_consumer_gives_back, exchanges, dead_letters, codes, heartbeats, back_pressure]:
    test()
    print("ok", test.__name__, flush=True)
