package dev.sequent.spi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.nio.ByteBuffer;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A guard lets operations run until it is closed, and closing waits for them. */
@Timeout(60)
class BackendGuardTest {
    private final BackendGuard guard = new BackendGuard("the test backend");

    @Test
    void closingWaitsForTheOperationThatRuns() throws InterruptedException {
        CountDownLatch running = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        AtomicBoolean ended = new AtomicBoolean();
        Thread operation = Thread.ofPlatform().start(() -> guard.run("op", () -> {
            running.countDown();
            try {
                goOn.await();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
            ended.set(true);
            return null;
        }));
        running.await();
        AtomicBoolean endedBeforeClosed = new AtomicBoolean();
        Thread closing = Thread.ofPlatform().start(() -> {
            assertThat(guard.close()).isTrue();
            endedBeforeClosed.set(ended.get());
        });
        while (closing.getState() != Thread.State.TIMED_WAITING) {
            Thread.onSpinWait();
        }
        assertThatThrownBy(() -> guard.run("late", () -> 1)).isInstanceOf(BackendException.class)
                .hasMessage("[late] expected an open backend, given the test backend after close()");
        goOn.countDown();
        closing.join();
        operation.join();
        assertThat(endedBeforeClosed).isTrue();
    }

    @Test
    void onlyTheFirstCloseIsTheOneThatFrees() {
        assertThat(guard.run("op", () -> 3)).isEqualTo(3);
        assertThat(guard.close()).isTrue();
        assertThat(guard.close()).isFalse();
        assertThatThrownBy(() -> guard.checkDevice("op", 0)).isInstanceOf(BackendException.class);
    }

    @Test
    void anOperationThatFailsHasEnded() {
        assertThatThrownBy(() -> guard.run("op", () -> {
            throw new IllegalStateException("planned");
        })).hasMessage("planned");
        assertThat(guard.close()).isTrue();
    }

    @Test
    void wrongDevicesAndSizesAreNamed() {
        guard.checkDevice("op", 1, 2);
        assertThatThrownBy(() -> guard.checkDevice("op", 1)).isInstanceOf(BackendException.class)
                .hasMessage("[op] expected device 0, given device 1");
        assertThatThrownBy(() -> guard.checkDevice("op", -1, 2)).isInstanceOf(BackendException.class)
                .hasMessage("[op] expected a device from 0 to 1, given device -1");
        BackendGuard.checkBytes("op", Shape.of(2, 3), DType.F32, ByteBuffer.allocate(24));
        assertThatThrownBy(() -> BackendGuard.checkBytes("op", Shape.of(2, 3), DType.F32, ByteBuffer.allocate(23)))
                .isInstanceOf(ShapeException.class).hasMessageContaining("24 bytes").hasMessageContaining("23 bytes");
        assertThat(BackendGuard.foreign("op", null)).hasMessage("[op] expected a handle of this backend, given null");
    }
}
