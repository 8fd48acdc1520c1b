package dev.sequent.benchmarks.peers;

import java.time.Duration;
import java.util.List;

/** The peer, and another one in its place after it has failed. Used by one thread. */
final class PeerSource implements AutoCloseable {
    private final List<String> command;
    private final Duration patience;
    private Peer peer;

    /** How the peer is started, and how long its answers may take; see {@link Peer#start}. */
    PeerSource(List<String> command, Duration patience) {
        this.command = command;
        this.patience = patience;
    }

    /**
     * The peer that runs, or a new one.
     *
     * @throws PeerException when it cannot be started
     */
    Peer peer() {
        if (peer == null) {
            peer = Peer.start(command, patience);
        }
        return peer;
    }

    /** Ends the peer that runs: the next call of {@link #peer} starts another one. */
    void renew() {
        close();
    }

    @Override
    public void close() {
        if (peer != null) {
            peer.close();
            peer = null;
        }
    }
}
