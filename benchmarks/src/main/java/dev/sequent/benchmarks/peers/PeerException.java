package dev.sequent.benchmarks.peers;

import dev.sequent.type.SequentException;

/**
 * The other process cannot be started, ended, or said something that was not expected; the message has the last lines of its standard
 * error.
 */
public final class PeerException extends SequentException {
    private static final long serialVersionUID = 1L;

    private final boolean absent;

    PeerException(String expected, String given, boolean absent, Throwable cause) {
        super(message("peer", expected, given), cause);
        this.absent = absent;
    }

    /** Whether there is no peer at all on this machine: no Python, or none with what the scripts import. */
    public boolean absent() {
        return absent;
    }
}
