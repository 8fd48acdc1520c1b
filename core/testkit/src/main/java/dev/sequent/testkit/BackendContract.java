package dev.sequent.testkit;

import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import net.jqwik.api.lifecycle.AfterProperty;
import net.jqwik.api.lifecycle.BeforeProperty;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;

/**
 * What every backend must satisfy: extend this class, say how the backend is opened, and all groups of tests run.
 *
 * <p>Every method of the SPI is checked for every dtype that device 0 claims, with operands in every {@link Layout}, against formulas
 * over plain Java arrays; {@link Tolerance} states how exact a result must be. The enums of operations are iterated over, so that
 * a new constant is tested without a change here.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class BackendContract implements StorageContract, GenerationContract, ElementwiseContract, CastContract, ReductionContract,
        MovementContract, IndexingContract, MatmulContract, LifecycleContract, ConcurrencyContract, RandomShapesContract {
    private Backend backend;

    /** For subclasses. */
    protected BackendContract() {}

    /** The provider of the backend under test. */
    protected abstract BackendProvider provider();

    /** Options with which the backend under test is opened. */
    protected Map<String, String> options() {
        return Map.of();
    }

    /** Opens the backend, for JUnit once per class and for jqwik once per property. */
    @BeforeAll
    @BeforeProperty
    protected void openBackend() {
        backend = open(Map.of());
    }

    /** Closes the backend. */
    @AfterAll
    @AfterProperty
    protected void closeBackend() {
        if (backend != null) {
            backend.close();
            backend = null;
        }
    }

    @Override
    public Backend backend() {
        return backend;
    }

    @Override
    public Backend open(Map<String, String> more) {
        Map<String, String> all = new HashMap<>(options());
        all.putAll(more);
        return provider().open(all);
    }

    @Override
    public Optional<Map<String, String>> threads(int threads) {
        return Optional.empty();
    }
}
