package dev.sequent.backend.djl;

import java.util.concurrent.atomic.AtomicInteger;

/** The memory that a tensor and the views of it share: charged once, refunded when the last of them is gone. Thread-safe. */
final class Storage {
    private final Account account;
    private final long charge;
    private final AtomicInteger users = new AtomicInteger(1);

    Storage(Account account, long charge) {
        this.account = account;
        this.charge = charge;
    }

    /** Counts one more user; the caller is one already. */
    Storage share() {
        users.incrementAndGet();
        return this;
    }

    void release() {
        if (users.decrementAndGet() == 0) {
            account.refund(charge);
        }
    }
}
