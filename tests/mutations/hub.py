"""Faults of the hub, its outboxes and the memory broker."""

from typing import Final

from . import rows_of

ROWS: Final = rows_of(r"""
# hub/overflow.py: tests/hub/test_overflow.py

the newest that waits is dropped instead of the oldest
- self._droppable.popitem(last=False)
+ self._droppable.popitem(last=True)

one message more than the bound waits
- self.messages >= limits.max_messages
+ self.messages > limits.max_messages

one byte less than the bound waits
- self.size + size > limits.max_bytes
+ self.size + size >= limits.max_bytes

a message over the bound is refused also when it is alone
- return self.messages > 0 and (
+ return (

drop_newest drops what others have in the outbox
- if self._droppable and overflow is not Overflow.DROP_NEWEST:
+ if self._droppable:

keys are ignored
- if key is not None and overflow is Overflow.CONFLATE:
+ if False:

keys count for all policies
- if key is not None and overflow is Overflow.CONFLATE:
+ if key is not None:

keys are shared by rooms
-             self._supersede(source, key)
+             for each in {each for each, _ in self._by_key}:
+                 self._supersede(each, key)

the key of a message that was sent is kept
-         if waiting.key is not None:
-             del self._by_key[source, waiting.key]
-         if self._fronts
+         if self._fronts

a replaced message is not counted as dropped
- self._uncount(self._queue.pop(serial))
+ waiting = self._queue.pop(serial)
+             self.messages -= 1
+             self.size -= waiting.size

the last that waits is sent first
- serial, waiting = self._queue.popitem(last=False)
+ serial, waiting = self._queue.popitem(last=True)

age does not close
-                 if waiting.source.overflow is Overflow.CLOSE:
+                 if False:

the size of what was sent is kept
-             self.size -= waiting.size
-         return waiting
+         return waiting

the age is that of the newest
- for waiting in self._queue.values() if waiting.broadcast is not None), None)
+ for waiting in reversed(self._queue.values()) if waiting.broadcast is not None), None)

what is freed at the end is not counted as dropped
-                 self._uncount(waiting)
-         self._queue.clear()
+                 pass
+         self._queue.clear()

what may not be dropped is
- if overflow in (Overflow.DROP_OLDEST, Overflow.CONFLATE):
+ if overflow is not Overflow.DROP_NEWEST:

# hub/overflow.py: tests/hub/test_gaps.py

no notice in the place of the oldest
- if front is None and source.announces:
+ if False:

no notice after the newest
-         if source.announces:
+         if False:

a notice in the place of the oldest counts one
- front.missed += 1
+ front.missed = 1

a notice after the newest counts one
- tail.missed += 1
+ tail.missed = 1

a notice that was sent is counted on
-             del self._fronts[source]
+             pass

the tail is kept after it was sent
-             del self._tails[source]
+             pass

# hub/outbox.py: tests/hub/test_overflow.py

age counts twice as long
- call_at(now + self._limits.max_age, self._on_age, backlog)
+ call_at(now + 2 * self._limits.max_age, self._on_age, backlog)

the timer of the age is not set anew
- self._timer = self.loop.call_at(since + self._limits.max_age, self._on_age, backlog)
+ self._timer = None

the timer of the age is not cancelled
-             self._timer.cancel()
+

the age is counted from the timer
- since = self.loop.time() if oldest is None else oldest
+ since = self.loop.time()

what is stuck is not given up
-             writer.cancel()
+             pass

the outbox is not freed at the end
-         if self._backlog is not None:
-             self._backlog.clear()
+         if False:
+             pass

the rate is not kept for the first message
-                 if self._pace is not None:
-                     await
+                 if False:
+                     await

the rate is not kept for what waits
-         if self._pace is not None:
-             await
+         if False:
+             await

a refused push is begun beside the outbox
-         self.put(source, broadcast, key)
-         return self.write(None)
+         return self.write(broadcast)

what is sent in its turn is not counted as delivered
-         self.delivered += 1
-         return waiting.broadcast
+         return waiting.broadcast

# hub/outbox.py: tests/hub/test_endings.py tests/hub/test_machine.py

an overflow is counted twice
-         if not self.is_closed:
-             self._on_overflow()
+         self._on_overflow()

what is sent of the backlog is not counted as delivered
-         await self._send(broadcast.event)
-         self.delivered += 1
+         await self._send(broadcast.event)

# hub/outbox.py: tests/hub/test_endings.py

a flush waits for nothing
- await asyncio.wait([self._writer])
+ await asyncio.sleep(0)

# hub/outbox.py: tests/hub/test_patience.py

progress of an outbox is not notified
-             on_progress(self)
+             pass

an outbox that makes progress stays stuck
-             self._backlog.is_stuck = False
+             pass

a member that took nothing is waited for again
-             self._backlog.is_stuck = True
+             pass

# hub/outbox.py: tests/hub/test_eager.py

a failed send is not noticed
-         if not was_closed:
-             self._on_failure(error)
+         pass

KeyboardInterrupt of a send goes no further
-         if end is not None:
-             raise end
+         return

a send closed after its loop is a failure
-             if not is_running_in(self.loop):
+             if False:

# hub/outbox.py: tests/hub/test_rare_moments.py

a cancelled writer does not end as cancelled
-             if self._is_cancelled(error):
-                 raise
+             pass

# hub/fanout.py: tests/hub/test_eager.py tests/hub/test_machine.py

there is no snapshot
- rest = self._rest = iter(snapshot)
+ rest = self._rest = iter(self._recipients)

# hub/fanout.py: tests/hub/test_publishing.py

the snapshot stays at a join
-         self._recipients[recipient] = self._newest
-         self._snapshot = None
+         self._recipients[recipient] = self._newest

a room is busy for good
-             self._state = _IDLE
-             return True
+             self._state = FanoutState.YIELDED
+             return True

the newest message goes first
-         self._messages.append(message)
-         if self._state is _IDLE and
+         self._messages.insert(1, message)
+         if self._state is _IDLE and

members that have left get messages
- if recipient.ending is None and (exclude is None or recipient.origin != exclude):
+ if exclude is None or recipient.origin != exclude:

exclude is ignored
- if recipient.ending is None and (exclude is None or recipient.origin != exclude):
+ if recipient.ending is None:

the end of a time slice is the end of the message
-                     self._left = 0
-                     return
+                     self._left = 0
+                     self._rest = None
+                     return

a publisher that waits is not released
-                     message.on_done()
-             messages.popleft()
+                     pass
+             messages.popleft()

a publisher does not wait for its message
-         message.waiter = self._loop.create_future()
-         return message.waiter
+         return DONE

a message with nothing to say is sent empty
-         if encoded is None:
-             return False
+         encoded = encoded or ("", b"")

# hub/fanout.py: tests/hub/test_rare_moments.py tests/hub/test_patience.py

a stop does not release publishers
-             message.on_done()
-         self._state
+             pass
+         self._state

# hub/fanout.py: tests/hub/test_crowds.py tests/hub/test_machine.py

the snapshot stays at a leave
-         self._recipients.pop(recipient, None)
-         self._snapshot = None
+         self._recipients.pop(recipient, None)

# hub/fanout.py: tests/hub/test_overflow.py

a message is written beside the queue
- if outbox.state is not _OUTBOX_IDLE:
+ if outbox.state is not _OUTBOX_IDLE and outbox.messages:

what is pushed is not counted as delivered
-                             outbox.delivered += 1
+                             pass

# hub/fanout.py: tests/hub/test_crowds.py

new members get messages that came before them
- for each, number in self._recipients.items() if number <= message.newest
+ for each, number in self._recipients.items() if number

leaves are worded although nobody is left
- encoded = make() if self._recipients else None
+ encoded = make()

# hub/fanout.py: tests/hub/test_publishing.py tests/hub/test_crowds.py

a large message counts as one member
- cost = 1 + size // _BYTES_LIKE_A_MEMBER
+ cost = 1

# hub/fanout.py: tests/hub/test_patience.py

patience is spent again and again
- self._patience.spend(now, min(now - began, seconds))
+ pass

patience does not come back
- TokenBucket(_PATIENCE_SHARE, _PATIENCE_SECONDS)
+ TokenBucket(1e-9, _PATIENCE_SECONDS)

a wait has no grace iterations
- self._grace = _GRACE_ITERATIONS
+ self._grace = 0

# hub/fanout.py: tests/hub/test_patience.py tests/hub/test_publishing.py

full outboxes are not waited for
- if outbox.is_crowded(size):
+ if False:

# hub/fanout.py: tests/hub/test_eager.py

a push that raises no Exception stops the room
-                     except BaseException as error:
+                     except Exception as error:

a room stays broken after the end of the program was raised
-             self._abort()
-             raise
+             raise

# hub/connection.py: tests/hub/test_overflow.py

two seconds' worth go at once
- TokenBucket(rate, capacity=rate)
+ TokenBucket(rate, capacity=2 * rate)

an overflow closes no socket
-         self._socket.close_slow()
+         pass

closed connections are not counted
-         self._counters.closed += 1
+

the block of a foreign socket that is closed goes on
-                 membership.end_block()
+                 pass

a leave drops what waits
-             self.outbox.leave()
+             self.outbox.abort()

# hub/connection.py: tests/hub/test_endings.py

a connection is never forgotten
-         self._on_done(self)
+         pass

the end of a foreign block waits beside other memberships
- if self.memberships or not isinstance(self._socket, ForeignSocket):
+ if not isinstance(self._socket, ForeignSocket):

the end of a foreign block has no bound
- async with asyncio.timeout(CLOSE_TIMEOUT):
+ async with asyncio.timeout(None):

what is stuck goes on after the end of the connection
-         self.outbox.abort()
-         self._end(ending)
+         self._end(ending)

an orderly end drops what waits
-         self.outbox.close()
-         memberships
+         self.outbox.abort()
+         memberships

# hub/connection.py: tests/hub/test_endings.py tests/hub/test_rare_moments.py tests/hub/test_machine.py

disconnect waits behind what is stuck
-         self._abort_sends(memberships)
-         self._socket
+         self._socket

# hub/connection.py: tests/hub/test_endings.py tests/hub/test_machine.py

a socket is not detached
-         self._socket.detach(self)
+

# hub/connection.py: tests/hub/test_eager.py

a failed send ends no membership
- self._end(Ending.CLOSED if log_failure(error) else Ending.FAILED)
+ log_failure(error)

# hub/connection.py: tests/hub/test_crowds.py

those who leave together hear of each other
- for member, left in [(member, member.end(ending)) for member in members]:
+ for member, left in ((member, member.end(ending)) for member in members):

# hub/membership.py: tests/hub/test_endings.py

the end of a foreign block waits for nothing
- await self.connection.drain(error)
+ pass

# hub/connection.py: tests/hub/test_endings.py

a cancelled handler waits for its client
- if error is not None and (not isinstance(error, Exception) or is_disconnect(error)):
+ if False:

# hub/membership.py: tests/hub/test_overflow.py

a member does not count what it missed
-         self.dropped += 1
+

the hub does not count what members missed
-         self.connection.on_drop()
+

# hub/membership.py: tests/hub/test_publishing.py

leaves are not announced
- self._active_room.announce_leave(left, self.origin)
+ pass

# hub/membership.py: tests/hub/test_broker_failures.py tests/hub/test_machine.py

the broker does not hear that a room is empty
-         self._active_room.subscription.settle()
+         pass

# hub/membership.py: tests/hub/test_lifetime.py

a membership that has ended is entered
-         ending = self.ending
-         if ending is None:
+         ending = self.ending
+         if True:

a membership has two blocks
-         if self._block is not None:
-             raise
+         if False:
+             raise

a block begins before the broker knows of it
-             if self._known is not None:
-                 await self._known
+             pass

who is cancelled while it enters stays
-         except BaseException:
-             self.leave()
-             raise
+         except BaseException:
+             raise

# hub/membership.py: tests/hub/test_lifetime.py tests/hub/test_broker_failures.py

a first member never knows where it joined
-         if self.position is None:
-             self.position
+         if False:
+             self.position

# hub/membership.py: tests/hub/test_threads.py

another thread may leave
-         elif is_running_in(loop):
+         elif True:

# hub/room.py: tests/hub/test_publishing.py

the first to join hears of itself
- self.name, member), exclude=recipient.origin
+ self.name, member), exclude=''

# hub/room.py: tests/hub/test_bad_input.py

an encoder that raises stops the room
-             if end_of_program(error) is not None:
+             if True:

a name of 255 bytes is too long
- if size > _MAX_NAME_BYTES:
+ if size >= _MAX_NAME_BYTES:

# hub/room.py: tests/hub/test_publishing.py tests/hub/test_crowds.py tests/hub/test_machine.py

identities are not forgotten
-             del self._identities[identity]
+             pass

all members of an identity leave at once
-             del recipients[recipient]
+             recipients.clear()

# hub/presence.py: tests/hub/test_publishing.py

each connection of an identity joins
- return member, known is None
+ return member, True

an identity has left with its first connection
- if known.connections > 1:
+ if False:

# hub/recovery.py: tests/hub/test_gaps.py

positions are not looked at
- return event.position is None or self.last is None or event.previous == self.last
+ return True

a page is read from the beginning
- await self._read(since, _PAGE)
+ await self._read(None, _PAGE)

what came twice is passed on twice
-         if not self._is_known(event):
+         if True:

what no history has is not announced
-         if not page.follows(since)
+         if False

what cannot be read is not announced
-                 self._announce(self._missed(event), event.position)
+                 pass

what is missing is counted one too many
- position.offset - last.offset - 1
+ position.offset - last.offset

a second interruption during a catch-up is lost
-         self._on("gap")
-         if self.state
+         if self._task is None:
+             self._on("gap")
+         if self.state

# hub/recovery.py: tests/hub/test_gaps.py tests/hub/test_machine.py

the position stays
-         if event.position is not None:
-             self.last = event.position
-         return
+         return

# hub/recovery.py: tests/hub/test_broker_failures.py

a failed read is not tried again
- self._backoff.plan(self.catch_up)
+ pass

a message waits for a history that cannot be read
- if not await self._ask() and not self._held:
+ if not await self._ask():

# hub/subscription.py: tests/hub/test_broker_failures.py

a failed subscription is not tried again
- delay = self._backoff.plan(self._retry)
+ delay = 0

members do not hear that they missed messages
-             self._has_missed = True
-             raise
+             raise

a failed unsubscription is tried for ever
- if calling is RoomState.UNSUBSCRIBING and self._backoff.failures >= _UNSUBSCRIBE_TRIES:
+ if False:

a block waits for a failing broker for ever
-             if until < loop.time() + delay:
+             if False:

a call that somebody cancelled is not made again
-             if not is_over:
-                 self._backoff
+             if False:
+                 self._backoff

a broker is asked twice at once
- if self._follow() and self._state in _CALLING:
+ if self._follow() or self._state in _CALLING:

a room is not unsubscribed
-         await self._access.broker.unsubscribe(self._name)
+         pass

a room that is wanted again keeps its positions
-         self.recovery = self._new_recovery()
+

# hub/subscription.py: tests/hub/test_lifetime.py

the broker is always said to know
-         if self._state is RoomState.SUBSCRIBED:
-             return None
+         if True:
+             return None

# hub/subscription.py: tests/hub/test_lifetime.py tests/hub/test_gaps.py

a first member does not ask for the position
-             recovery.last = recovery.last or page.top
+             pass

# hub/backoff.py: tests/hub/test_broker_failures.py

retries do not back off
- most = min(_FIRST_SECONDS * 2.0 ** min(failures - 1, 32), MOST_SECONDS)
+ most = _FIRST_SECONDS

retries back off without bound
- min(failures - 1, 32), MOST_SECONDS)
+ min(failures - 1, 32), 1e9)

a broker's CancelledError cancels the caller
- if is_cancelled and (task is None or task.cancelling()):
+ if is_cancelled:

each failure is logged
-             self._is_logged = True
+             pass

the recovery is logged for each room
- if self._is_logged and not self._rooms:
+ if self._is_logged:

# hub/runtime.py: tests/hub/test_broker_failures.py

a room is not forgotten
-         del self.rooms[room.name]
+         pass

a broker that is back is not asked at once for failed rooms
-             room.subscription.on_interrupted()
+             room.subscription.recovery.catch_up()

pending rooms are not counted
- sum(room.subscription.is_pending for room in runtime.rooms.values())
+ 0

# hub/runtime.py: tests/hub/test_gaps.py

an interruption is not heard
-             room.subscription.on_interrupted()
+             pass

# hub/runtime.py: tests/hub/test_lifetime.py

a failed start is not tried again
-             self._on("failed")
+             pass

a stop has no bound
- asyncio.wait(self._starter.tasks, timeout=FORCED_CLOSE_TIMEOUT)
+ asyncio.wait(self._starter.tasks, timeout=None)

# hub/runtime.py: tests/hub/test_lifetime.py tests/hub/test_broker_failures.py

a stop does not cancel what is stuck
-                 task.cancel()
-             if
+                 pass
+             if

# hub/runtime.py: tests/hub/test_crowds.py

a stop ends all members in one iteration
-                 if slice_.is_over:
-                     await asyncio.sleep(0)
+                 pass

disconnect closes all in one iteration
- min(len(closing), _CLOSES_PER_ITERATION)
+ len(closing)

a cancelled stop leaves members
-             for end in endings:
-                 end()
+             pass

# hub/runtime.py: tests/hub/test_lifetime.py tests/hub/test_rare_moments.py

a broker is not stopped in another loop
-                 await self._stop_left()
+                 pass

# hub/runtime.py: tests/hub/test_overflow.py

each connection of daphne is warned of
-             self._has_warned = True
+

what waits is not counted
-             size += outbox.size
+

# hub/runtime.py: tests/hub/test_endings.py

what was delivered is lost with the connection
-         self._counters.delivered += outbox.delivered
+         pass

# hub/runtime.py: tests/hub/test_eager.py

slow members are not counted
-             slow += 1
+

# hub/hub.py: tests/hub/test_publishing.py

a published envelope can be changed
- draft.__class__ = Envelope
+ pass

a loop of publishing does not yield
-         position = await self._broker.publish(room, envelope, history)
-         if runtime.slice.is_spent():
+         position = await self._broker.publish(room, envelope, history)
+         if False:

a loop of reading does not yield
-             page = await self._broker.read(name, since, limit)
-         if runtime.slice.is_spent():
+             page = await self._broker.read(name, since, limit)
+         if False:

an ended membership excludes nobody
-         key = exclude.connection.key if
+         if isinstance(exclude, Membership):
+             return exclude.origin
+         key = exclude.connection.key if

buffers are published as they are
-             data = bytes(data)
+             pass

published messages are not counted
-         self._counters.published += 1
+

# hub/hub.py: tests/hub/test_threads.py

another loop is let in
-         elif runtime.loop is not loop:
+         elif False:

what a thread gave up is published
-             is_given_up.set()
+             pass

# hub/hub.py: tests/hub/test_bad_input.py

keys of any type are taken
-         if key is not None and not isinstance(key, str):
+         if False:

a connection joins a room twice
- if connection is not None and name in connection.memberships:
+ if False:

# hub/hub.py: tests/hub/test_overflow.py

a closed outbox is joined again
- if connection is None or connection.outbox.is_closed:
+ if connection is None:

# hub/hub.py: tests/hub/test_lifetime.py

the first exit stops the hub
-         if not runtime.entered:
-             await
+         if True:
+             await

a stopped hub starts again by itself
-         elif runtime.state in STOPPING_OR_STOPPED:
+         elif False:

who enters while a hub stops does not wait
-                 await before.wait_stopped()
+                 pass

# hub/hub.py: tests/hub/test_overflow.py tests/hub/test_machine.py

an outbox that is joined again is forgotten when it is empty
-             connection.outbox.join()
+             pass

# hub/adapters.py: tests/hub/test_adapters.py

a close code goes to daphne as it is
-             code = as_private_code(code)
+             pass

any RuntimeError is a refusal
- return isinstance(error, RuntimeError) and not isinstance(error, _MISTAKES)
+ return isinstance(error, RuntimeError)

servers' texts are not known
-         or any(text in _text_of(error) for text in _SAYS_ENDED)
+

one leaving in a group is enough
- return all(_has_left(cause) for cause in leaves(error))
+ return any(_has_left(cause) for cause in leaves(error))

a framework's WebSocket joins before accept
-         check_accepted(ws)
+         pass

a client's code in any error is a leaving
- return isinstance(code, int) and code in _CLOSE_CODES
+ return code is not None

# hub/adapters.py: tests/hub/test_overflow.py

a close frame goes beside a send
-                 if self._is_sending:
+                 if False:

a close frame is waited for without bound
- async with asyncio.timeout(FORCED_CLOSE_TIMEOUT):
+ async with asyncio.timeout(None):

# hub/adapters.py: tests/hub/test_bad_input.py

a closed WebSocket joins
-         if ws.closed:
+         if False:

a WebSocket joins before accept
-         if ws.application_state is not WebSocketState.CONNECTED:
+         if False:

# hub/adapters.py: tests/hub/test_lifetime.py

the code of a foreign close is lost
-         self._ending = code, reason
+         pass

# hub/joinable.py: tests/hub/test_adapters.py

a framework's WebSocket joins after its end
- if states & {"DISCONNECTED", "disconnect"}:
+ if False:

connections are told apart by equality
- (id(send.__self__), send.__name__)
+ (0, send.__name__)

a WebSocket and its send are two connections
- return (id(joinable), _SEND) if isinstance(joinable, WebSocket)
+ return (id(joinable), '') if isinstance(joinable, WebSocket)

any method of a WebSocket joins
- name in _DATA_METHODS or (_is_websocket(owner) and hasattr(owner, "accept"))
+ False

a consumer of Channels joins
- return code.co_argcount >= given and not (is_bound and defaults)
+ return code.co_argcount >= given

a send beside a send_json joins
-     if is_object and _states_of(given) is None and any(hasattr(given, name) for name in _DATA_METHODS):
+     if False:

# _aio/eager.py: tests/hub/test_eager.py tests/hub/test_rare_moments.py tests/hub/test_machine.py

two sends run in one name
- spare, self._spare = self._spare, None
+ spare = self._spare

# _aio/eager.py: tests/hub/test_eager.py

the first wait of a send is lost
-         if self._waited is not None:
+         if False:

sends share the publisher's context
- waited = context.run(next, work.__await__(), _ENDED)
+ waited = next(work.__await__(), _ENDED)

a spoiled task begins the next send
-         if task.is_spoiled:
-             return work, None
+         if False:
+             return work, None

# _aio/eager.py: tests/hub/test_rare_moments.py

what a cancelled send waits for goes on
-         if waited is not None and waited.cancel():
+         if False:

# brokers/memory.py: tests/hub/test_publishing.py

an event without a position can be changed
- draft.__class__ = RoomEvent
+ pass

# brokers/memory.py: tests/brokers/test_memory.py tests/brokers/test_workers.py

an unsubscribed room is delivered
-             if broker in subscribers:
+             if True:

a history keeps one less
- while len(ring.events) > history.messages:
+ while len(ring.events) >= history.messages:

what has expired is read
- while ring.events and ring.events[0][0] <= now:
+ while False:

a forgotten history begins with its old epoch
-         del self._idle[room]
-         self._losses += 1
+         del self._idle[room]

a history is read from one too late
- seen = since.offset - (ring.top.offset - kept)
+ seen = 1 + since.offset - (ring.top.offset - kept)

who only asks makes a room
-         if ring is None and room not in self.subscribers:
+         if False:

the bytes of a store have no bound
-  and self._bytes <= self._max_bytes:
+ :

rooms with subscribers are forgotten
-         self._idle.pop(room, None)
+

a subscriber that is cancelled keeps the others from an event
-                 cancelled = error
+                 raise

an event does not know the one before it
- _new_event(envelope, ring.top, previous)
+ _new_event(envelope, ring.top, None)

two worker processes are not warned of
- if workers > 1:
+ if workers > 2:

the room that was used last is forgotten first
-             self._idle.move_to_end(room)
+             pass

the room that was published in last loses first
-         self._filled.move_to_end(room)
+

sizes are counted in characters
- size = len(payload_of(envelope))
+ size = len(envelope.data)

an empty history is kept when its members have gone
-         if ring.top.offset:
+         if True:

a stopped broker stays subscribed
-             self._store.unsubscribe(self, self._rooms.pop())
+             self._rooms.pop()

a broker starts twice
-         if self._on_event is not None:
-             raise
+         if False:
+             raise

# brokers/memory.py: tests/brokers/test_memory.py tests/brokers/test_memory_contract.py

the newest are read without a limit
- start, end = max(kept - limit, 0), kept
+ start, end = 0, kept

# hub/encoder.py: tests/hub/test_bad_input.py

what an encoder gives is not checked
-         raise InvalidMessage(call, "str or bytes", data)
+         return b""

text that UTF-8 cannot encode is published
-         return data.encode()
+         return data.encode(errors="replace")

# hub/encoder.py: tests/test_hooks.py

an encoder may be async
-         if kind_of(getattr(encoder, name)) in (Kind.AWAITABLE, Kind.GENERATOR):
+         if False:

# _aio/time_slice.py: tests/hub/test_crowds.py

a time slice is never over
- return self._until is not None and time.thread_time() > self._until
+ return False

# _aio/time_slice.py: tests/hub/test_publishing.py

calls that wait for nothing never spend the slice
-             return False
-         return time.thread_time() > self._until
+             return False
+         return False

work left over is lost
-                     self._works.append(work)
-                 if
+                     pass
+                 if

all that is left over is done in one iteration
-                 if self.is_over:
-                     break
+                 pass

# hub/state.py: tests/hub/test_overflow.py

an outbox without members is forgotten with what waits
-             "leave": OutboxState.FLUSHING,
+             "leave": OutboxState.CLOSED,
""")
