package dev.sequent.fused;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

/** Memory by address is the memory of the segments, within whose bounds an address must be asked for. */
class AddressSpaceTest {
    @Test
    void anAddressIsThatOfThePartOfTheSegment() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(64, 64);
            long at = AddressSpace.at(memory, 16, 8);
            AddressSpace.ALL.set(ValueLayout.JAVA_INT, at + 4, 42);
            assertThat(memory.get(ValueLayout.JAVA_INT, 20)).isEqualTo(42);
            memory.set(ValueLayout.JAVA_INT, 16, 7);
            assertThat(AddressSpace.ALL.get(ValueLayout.JAVA_INT, at)).isEqualTo(7);
        }
    }

    @Test
    void partsBeyondTheSegmentAndArraysAreRefused() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(64, 64);
            assertThat(AddressSpace.at(memory, 64, 0)).isEqualTo(memory.address() + 64);
            assertThatThrownBy(() -> AddressSpace.at(memory, 0, 65)).isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> AddressSpace.at(memory, -1, 4)).isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> AddressSpace.at(memory, 60, 8)).isInstanceOf(IndexOutOfBoundsException.class);
            MemorySegment array = MemorySegment.ofArray(new float[4]);
            assertThatThrownBy(() -> AddressSpace.at(array, 0, 4)).isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("expected native memory");
        }
    }
}
