"""Faults of the testing kit: its clock, its clients, what it imitates of servers, and what it reports."""

from typing import Final

from . import rows_of

ROWS: Final = rows_of(r"""
# testing/clock.py: tests/testing/test_clock.py tests/testing/test_clock_deadlines.py

a timer set on the way is not met
-                 self._stand_at(when)
-                 await rest()
+                 self._stand_at(when)

a cancelled timer is the next one
- if timers and not timers[0].cancelled():
+ if timers:

a second clock stops the same loop
- if active(loop) is not None:
-             raise
+ if False:
+             raise

two tasks move one clock
- if self._is_moving:
+ if False:

time jumps back after the block
- self._offset = now - self._real()
+ self._offset = 0.0

a negative move is allowed
- if not 0 <= seconds < math.inf:
+ if not seconds < math.inf:

a loop in debug mode reports the move as slow
- loop.slow_callback_duration = math.inf
+ pass

patience is not looked at
- self._task.cancel(self._stood_still)
+ pass

a cancellation by patience stays counted
- self._task.uncancel()
+ pass

a deadline armed before follows virtual time
- if isinstance(owner, RealTimer):
+ if False:

a deadline armed inside follows virtual time
- if active(self._loop) is not None:
+ if False:

a cancelled deadline is called by its thread
- self._callback = _nothing
+ pass

a closed loop fails the thread of a deadline
- with suppress(RuntimeError):
+ with suppress(ZeroDivisionError):

# testing/communicator.py: tests/testing

the bytes that the test has taken still fill the peer's buffer
- self._untaken -= payload_bytes(event)
+ pass

a peer reads ahead without a bound
- return self.output_queue.qsize() < READ_AHEAD_MESSAGES and self._untaken < READ_AHEAD_BYTES
+ return True

a second handshake is sent
- if handshake.answer is not None:
+ if False:

a communicator connects outside its block
- if not self._is_entered:
+ if False:

send takes anything
- if not isinstance(data, str | bytes):
+ if False:

a sender never waits for the application
- lambda: self._server.unreceived < UNRECEIVED_BYTES or self.future.done(), "room for another message"
+ lambda: True, "room for another message"

a paused peer receives in vain
- if not self._link.reads and self.output_queue.empty():
+ if False:

the peer's close code is not checked
- check_close(code, reason)
+ pass

a close over a lost network is seen
-         if not self._link.is_up:
-             self._closed
+         if False:
+             self._closed

the peer's close comes before the application's
- if self._close_event is not None:
+ if False:

leaving the block does not close
- if self._closed is None and isinstance(self._handshake.answer, Accepted):
+ if False:

an error of send after the peer left fails the test
- lambda leaf: _is_among(leaf, self._server.raised)
+ lambda leaf: False

# testing/run.py: tests/testing

a violation that the application hides is forgotten
- self._violation = self._violation or broken
+ pass

the last violation is told and not the first
- self._violation = self._violation or broken
+ self._violation = broken

a failure that was met is raised again
- self._met[id(failure)] = failure
+ pass

leaked tasks pass
- if left and is_patient and has_ended:
+ if False:

leaked tasks get no time to end
- await self._until_all_done(left, "its tasks to end", self.timeout * _SHARE_FOR_TASKS)
+ pass

a cancellation of the application's own passes
- raise ApplicationCancelled from error
+ raise

a wait in vain does not say that virtual time stands still
-         if moved is not None:
-             due
+         if False:
+             due

a test cancelled while it leaves leaves the application running
- self._cancel_nowait()
-             raise
+ raise

exceptions of tasks are not told
- *(self._unretrieved.failures if is_over else ())
+ *()

a failure beside the first is not noted
- first.add_note(_note(failure))
+ pass

an input changes after it was sent
- self._give(dict(message))
+ self._give(message)

# testing/unretrieved.py: tests/testing/test_unretrieved.py

another's exceptions are taken too
- or not self._owns(task)
+ or False

an exception of another is lost
- self.before(loop, context)
+ pass

the handler stays after the end
- self._loop.set_exception_handler(handler)
+ pass

# testing/lifespan.py: tests/testing/test_lifespan_manager.py

a failed phase raises before the application says why
-             with suppress(WaitTimeout):
-                 await self._until_ended("its end", self.timeout * _SHARE_FOR_REASON)
+             pass

a failing test leaves the application started
-                 await self._close()
+                 pass

a manager starts twice
- if self._future is not None:
+ if False:

an application that returned early passes
- self._failed = self._failed or _unanswered("shutdown", "returned before it was asked to stop")
+ pass

an application that hangs after its stop passes
- await self._until_ended("the application to end after its shutdown")
+ pass

# testing/exchange.py: tests/testing/test_http_client.py tests/testing/test_streamed_responses.py

an application that did not answer passes
- if self.error is None and self._server.state is not ResponseState.NOTHING:
+ if False:

an application that does not notice the leaving client is waited for in vain
- self.stop(exceptions=False)
+ pass

an OSError of send for a client that left fails the test
- if not _comes_of(error, self._server.raised)
+ if True

# testing/http.py: tests/testing/test_http_client.py tests/testing/test_streamed_responses.py tests/testing/servers

the query is in the raw path
- url.raw_path.partition(b"?")[0]
+ url.raw_path

the default port is unknown
- _PORTS[url.scheme] if url.port is None else url.port
+ url.port

a WebSocket URL is requested
- if request.url.scheme not in _PORTS:
+ if False:

# testing/servers/http.py: tests/testing/test_http_client.py tests/testing/test_streamed_responses.py

a send does not wait for the reader
- await self._has_been_read.wait()
+ pass

an endless response is collected whole
- if self.is_full:
+ if False:

a response to HEAD has a body
-         if self._scope["method"] == "HEAD":
+         if False:

the client's leaving is not received
- self.has_left = True
-         self._is_over.set()
+ self.has_left = True

# testing/servers/websocket.py: tests/testing

a dict that is used again changes an event
- own = dict(event)
+ own = event

a message over the bound arrives
- if largest is not None and size > largest:
+ if False:

a message of the very bound is too long
- size > largest
+ size >= largest

a send after the peer left never raises
- self._raise_gone()
-             return
+ return

the reason of a close is lost
- self._disconnect["reason"] = reason
+ pass

an end is told once though the server repeats it
- return repeat(disconnect)
+ return ()

a receive without end starves the test
-             await asyncio.sleep(0)
-             return dict(again)
+             return dict(again)

# testing/servers/link.py: tests/testing/test_communicator_network.py tests/testing/test_communicator_unread.py

sends wait at the high-water mark
- while self.unread_bytes > self._high_water:
+ while self.unread_bytes >= self._high_water:

a send does not wait for the peer
- await turn
+ return

an empty message takes no space
- self.unread_bytes += payload_bytes(event) or 1
+ self.unread_bytes += payload_bytes(event)

a lost network delivers
- and self.reads and self.is_up and
+ and self.reads and

# testing/servers/handshake.py: tests/testing/test_communicator.py

a browser takes no subprotocol for an answer
- is_browser = any(name == b"origin" for name, _ in scope["headers"])
+ is_browser = False

the first part of a denial is its whole body
- if not event.get("more_body", False):
+ if True:

# testing/client.py: tests/testing

a closed client is entered
- if self.is_closed:
+ if False:

the state outlives the block
- self.app_state.clear()
+ pass

open responses outlive the block
- self._open.pop().cancel()
+ self._open.pop()

a start that failed leaves the loop running
-             with beside(error):
-                 self._portals.stop()
-             raise
+             raise

# testing/session.py: tests/testing/test_client_websockets.py tests/testing/servers

the close is an error where an event is asked for
- if had_ended:
+ if True:

a message of the other kind is taken
- if not isinstance(data, kind):
+ if False:

a code of 1006 is sent in a frame
- if code == CloseCode.ABNORMAL:
+ if False:

# testing/portal.py: tests/testing/test_client_waits.py tests/testing/test_client.py

a loop that is blocked is waited for again
- self._is_stuck = True
+ pass

a call from within the loop blocks it
-         if threading.current_thread() is self._thread:
+         if False:

a loop that the application stopped is not told
- self._escaped.append(RuntimeError("the application stopped the event loop: it called loop.stop()"))
+ pass

# testing/task_report.py: tests/testing/test_task_report.py tests/testing/test_task_report_followed.py

a task that waits for itself is followed without end
- elif other in seen:
+ elif False:

a long report is not cut
- return text if len(text) <= MOST_CHARACTERS else
+ return text if True else

a foreign object hides the report
-     except Exception as error:  # noqa: BLE001 -- no foreign object may hide what went wrong
-         lines
+     except ZeroDivisionError as error:
+         lines

# testing/task_report.py: tests/testing/test_left_behind.py

tasks of others are an application's
- if context_of(task).get(OWNER) is owner
+ if True

# testing/errors.py: tests/testing/test_shown_values.py

a repr that raises hides the message
- except Exception
+ except ZeroDivisionError
""")
