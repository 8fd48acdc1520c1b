package dev.sequent.tensor;

import java.lang.System.Logger.Level;
import java.lang.ref.Cleaner;

/**
 * Watches a tensor that belongs to no scope and reports, once it has become unreachable, that nobody closed it. It never
 * frees memory: only the program knows when a value is no longer needed.
 */
final class LeakReport implements Runnable {
    private static final Cleaner CLEANER = Cleaner.create();

    private final String what;
    private volatile boolean settled;

    private LeakReport(String what) {
        this.what = what;
    }

    static LeakReport watch(Tensor tensor) {
        LeakReport report = new LeakReport(tensor.toString());
        CLEANER.register(tensor, report);
        return report;
    }

    /** The tensor has been closed, or a scope has taken it over. */
    void settle() {
        settled = true;
    }

    @Override
    public void run() {
        if (!settled) {
            System.getLogger("dev.sequent.tensor").log(Level.WARNING,
                    "A tensor {0} became unreachable without being closed; its memory is lost. Create it inside a Scope or close it.",
                    what);
        }
    }
}
